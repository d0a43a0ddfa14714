"""What is wrong with profiles before any step is taken: each problem with its plate and feature."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import polars as pl

from phenolake.profiling.feature_matrix import (
    chosen_rows,
    feature_columns,
    group_name,
    groups,
    key_columns,
    matrix,
)
from phenolake.profiling.robust_stats import is_constant

SCHEMA = {"problem": pl.String, "where": pl.String, "feature": pl.String, "detail": pl.String}


def input_problems(
    profiles: pl.DataFrame | pl.LazyFrame,
    reference: pl.Expr | None = None,
    by: str | Iterable[str] = ("Metadata_Plate",),
    perturbation: str = "Metadata_Perturbation",
    batch: str = "Metadata_Batch",
    well: str = "Metadata_Well",
) -> pl.DataFrame:
    """List the problems of a profile table; empty when there are none.

    Parameters
    ----------
    profiles
        A row per well.
    reference
        Expression that chooses control wells; None skips what needs them.
    by
        Columns that name a plate.
    perturbation, batch, well
        Columns that hold them; what needs an absent one is skipped.

    Returns
    -------
    polars.DataFrame
        Columns `problem`, `where` (such as `plate P1`), `feature` and `detail`. Problems:
        `no_controls`, `one_well` (a plate of one well), `duplicated_well`, `infinite_values`,
        `missing_feature` (no value on a plate), `constant_controls` (three or more), `one_batch_only` (a treatment
        that other batches lack, where there are several batches), `one_plate_batch` and
        `two_spellings` (perturbations that differ in case, blanks or punctuation alone).
    """
    frame = profiles.lazy().collect()
    features = feature_columns(frame)
    values = matrix(frame, features)
    found: list[tuple[str, str, str | None, str]] = []
    is_control = chosen_rows(frame, reference)
    by = key_columns(frame, by)
    for key, rows in groups(frame, by):
        where, here = group_name(key), values[:, rows]
        if rows.size == 1:
            found.append(("one_well", where, None, "a plate of one well has no spread"))
        if well in frame.columns:
            names = frame[rows][well].value_counts().filter(pl.col("count") > 1)
            found += [
                ("duplicated_well", where, None, f"{name}: {count} rows")
                for name, count in names.sort(well).iter_rows()
            ]
        infinite = np.isinf(here).sum(axis=1)
        missing = np.isnan(here).all(axis=1)
        controls = here[:, is_control[rows]]
        if reference is not None and not controls.shape[1]:
            found.append(("no_controls", where, None, f"looked for {reference}"))
        constant = np.zeros(len(features), bool)
        # Two controls may agree by chance.
        if reference is not None and controls.shape[1] > 2:
            constant = is_constant(np.where(np.isfinite(controls), controls, np.nan))
        for problem, marked, words in (
            ("infinite_values", infinite > 0, lambda i, n=infinite: f"{n[i]} wells"),
            ("missing_feature", missing, lambda i: "no well has a value"),
            ("constant_controls", constant, lambda i: "all controls have one value"),
        ):
            found += [
                (problem, where, features[i], words(i)) for i in np.flatnonzero(marked).tolist()
            ]
    if perturbation in frame.columns:
        found += _spellings(frame[perturbation])
        if batch in frame.columns:
            found += _confounded(
                frame.filter(~pl.Series(is_control)) if reference is not None else frame,
                perturbation,
                batch,
            )
    if batch in frame.columns and batch not in by:
        plates = frame.select(batch, *by).unique().group_by(batch).len()
        if plates.height > 1:
            found += [
                ("one_plate_batch", f"batch {name}", None, "batch and plate can't be told apart")
                for name, count in plates.sort(batch).iter_rows()
                if count == 1
            ]
    return pl.DataFrame(found, schema=SCHEMA, orient="row")


def _spellings(names: pl.Series) -> list[tuple[str, str, str | None, str]]:
    spelled: dict[str, list[str]] = {}
    for name in sorted(names.drop_nulls().unique().to_list()):
        # Signs and digits tell compounds apart; case, blanks and punctuation rarely do.
        spelled.setdefault(re.sub(r"[\s_\-.,;()\[\]]+", "", name).casefold(), []).append(name)
    return [
        ("two_spellings", "the whole table", None, " = ".join(map(repr, alike)))
        for alike in spelled.values()
        if len(alike) > 1
    ]


def _confounded(
    frame: pl.DataFrame, perturbation: str, batch: str
) -> list[tuple[str, str, str | None, str]]:
    if frame[batch].n_unique() < 2:
        return []
    counts = (
        frame.drop_nulls(perturbation)
        .group_by(perturbation)
        .agg(pl.col(batch).n_unique().alias("batches"), pl.col(batch).first())
        .sort(perturbation)
    )
    return [
        ("one_batch_only", f"batch {name}", None, f"{treatment} is in no other batch")
        for treatment, batches, name in counts.iter_rows()
        if batches == 1
    ]
