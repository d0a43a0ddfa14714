"""A champion judged again, on the held-out cells of its challenger that it never trained on."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from phenolake.errors import ModelFileError, TrainingDataError
from phenolake.identity import OBJECT, SITE, WELL
from phenolake.modeling.champion import METRIC, Rematch
from phenolake.modeling.labels import VALIDATION
from phenolake.modeling.run_files import SPLIT_FILE
from phenolake.modeling.scores import classification_scores
from phenolake.modeling.splits import CELL, group_columns

if TYPE_CHECKING:
    from phenolake.modeling.tracking import Tracker
    from phenolake.modeling.versions import RegisteredVersion


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The cells that judged a challenger.

    `keys`: key columns. `by`: the column that names groups. `codes`: int (n,), true classes.
    `probabilities`: (n, class), what the challenger said.
    """

    keys: pl.DataFrame
    by: str
    codes: np.ndarray
    probabilities: np.ndarray
    classes: tuple[str, ...]


def rematch(
    tracker: Tracker,
    champion: RegisteredVersion,
    held: HeldOut,
    said_by: Callable[[RegisteredVersion], np.ndarray],
) -> Rematch | None:
    """Return both versions' metric on cells new to both; None where there are none to judge by.

    Parameters
    ----------
    said_by
        Class probabilities (n, class) of the held-out cells by a version.

    Notes
    -----
    Every class of the challenger's held-out cells must be among them, so that a score of a few
    classes never stands for all.
    """
    trained = trained_groups(tracker, champion)
    columns = group_columns(held.keys, held.by)
    if trained is None or not columns or not set(columns) <= set(trained.columns):
        return None
    groups = held.keys.select(pl.col(columns).cast(pl.String)).with_row_index("row")
    fresh = groups.join(trained, on=columns, how="anti", nulls_equal=True)["row"].to_numpy()
    if set(held.codes[fresh]) != set(held.codes):
        return None
    try:
        said = said_by(champion)[fresh]
    except (TrainingDataError, ModelFileError):  # of other features, channels or sizes
        return None
    challenger, known = (
        classification_scores(held.codes[fresh], probabilities, held.classes).metrics[METRIC]
        for probabilities in (held.probabilities[fresh], said)
    )
    return Rematch(challenger, known, len(fresh))


def split_of_groups(tracker: Tracker, version: RegisteredVersion) -> pl.DataFrame | None:
    """Return columns that name groups, as text, and the `split` each had; None if not recorded."""
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as folder:
        try:
            path = tracker.client.download_artifacts(version.run_id, SPLIT_FILE, folder)
        except (MlflowException, OSError):
            return None
        return pl.read_csv(io.BytesIO(Path(path).read_bytes()), infer_schema=False)


def trained_groups(tracker: Tracker, version: RegisteredVersion) -> pl.DataFrame | None:
    """Return the groups whose cells a version has learned from; None if not recorded.

    A model trained in folds has learned from every group in the end.
    """
    groups = split_of_groups(tracker, version)
    return None if groups is None else groups.filter(pl.col("split") != VALIDATION).drop("split")


def group_parts(keys: pl.DataFrame, split: np.ndarray, by: str) -> pl.DataFrame | None:
    """Return one row per group and its part, of larger groups per well; None for single cells."""
    columns = group_columns(keys, by)
    if by == CELL or not columns:
        return None
    if by not in (SITE, OBJECT) and WELL in keys.columns:
        columns = list(dict.fromkeys([*group_columns(keys, WELL), *columns]))
    parts = keys.select(columns).with_columns(split=pl.Series(split.tolist(), dtype=pl.String))
    return parts.unique().sort(columns)
