"""Stage-wise and end-to-end models of a screen side by side: rows of `model_scores`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from phenolake.modeling.scores import classification_scores
from phenolake.stages.profile_scores import batch_scores_of

STAGE_WISE = "stage-wise"
END_TO_END = "end-to-end"
_HELD_OUT = "class of cells in held-out wells"
_MODEL = ["model_name", "model_version"]
_WELL = ["Metadata_Plate", "Metadata_Well"]


@dataclass(frozen=True)
class Cost:
    """What a model took to make; what is not known is None."""

    approach: str
    training_cells: int | None = None
    parameters: int | None = None
    fit_seconds: float | None = None
    fit_cpu_seconds: float | None = None
    split_sha256: str | None = None
    data: str | None = None


def cell_scores(predictions: pl.DataFrame, costs: Mapping[tuple[str, str], Cost]) -> pl.DataFrame:
    """How well models name the classes of the same cells: those of wells that no model met.

    Parameters
    ----------
    predictions
        Rows of `model_predictions` of a screen.
    costs
        By model name and version; models without a cost are left out.

    Notes
    -----
    Cells are judged only if every model judged them by the same true class, in wells that are in
    the training part of none, so that models trained on other draws are still compared on one set.
    """
    known = pl.DataFrame(list(costs), schema=dict.fromkeys(_MODEL, pl.String), orient="row")
    chosen = predictions.join(known, on=_MODEL, how="semi", maintain_order="left")
    met = chosen.filter(pl.col("split") == "train").select(_WELL).unique()
    place = [*_WELL, "Metadata_Site", "Metadata_ObjectNumber"]
    held = (
        chosen.drop_nulls("true_label")
        .join(met, on=_WELL, how="anti")
        .filter(pl.len().over(place) == chosen.select(_MODEL).n_unique())
        .filter(pl.col("true_label").n_unique().over(place) == 1)
    )
    rows = []
    for (name, version), cells in held.sort(place).group_by(_MODEL, maintain_order=True):
        cost = costs[str(name), str(version)]
        for score, value in _scores(cells).items():
            rows.append(_row(str(name), str(version), cost, _HELD_OUT, score, value, cells.height))
    return pl.DataFrame(rows)


def profile_scores(corrected: pl.DataFrame, name: str, version: str, cost: Cost) -> pl.DataFrame:
    """What profiles of features or of embeddings are worth, after each correction."""
    wells = corrected.group_by("Metadata_Correction").len()
    counts = dict(wells.iter_rows())
    rows = [
        _row(
            name,
            version,
            cost,
            f"profiles after {row['Metadata_Correction']}",
            row["score"],
            row["value"],
            counts[row["Metadata_Correction"]],
        )
        for row in batch_scores_of(corrected).iter_rows(named=True)
    ]
    return pl.DataFrame(rows)


def _scores(cells: pl.DataFrame) -> dict[str, float]:
    """Summary metrics of one model's cells; classes it can't name count as mistakes."""
    named = cells["probabilities"].explode().struct.unnest()
    known = named["class"].unique().to_list()
    classes = tuple(sorted({*known, *cells["true_label"].unique()}))
    probabilities = np.zeros((cells.height, len(classes)))
    places = np.array([classes.index(label) for label in named["class"][: len(known)]])
    probabilities[:, places] = named["probability"].to_numpy().reshape(-1, len(known))
    index = {label: code for code, label in enumerate(classes)}
    truth = cells["true_label"].replace_strict(index, return_dtype=pl.Int64).to_numpy()
    return classification_scores(truth, probabilities, classes).metrics


def _row(
    name: str,
    version: str,
    cost: Cost,
    question: str,
    score: str,
    value: float | None,
    judged: int,
) -> dict[str, object]:
    return {
        "model_name": name,
        "model_version": version,
        **asdict(cost),
        "question": question,
        "score": score,
        "value": value,
        "judged": judged,
    }
