"""How much a treatment does: induction, and grit-like scores against the controls."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from phenolake.errors import ControlsMissingError
from phenolake.evaluation.similarity import codes
from phenolake.profiling.correlation import pearson
from phenolake.profiling.feature_matrix import (
    chosen_rows,
    feature_columns,
    group_name,
    groups,
    key_columns,
    matrix,
)
from phenolake.profiling.robust_stats import median


def induction(
    profiles: pl.DataFrame | pl.LazyFrame, perturbation: str | Iterable[str], threshold: float = 3.0
) -> pl.DataFrame:
    """Share of features that a perturbation changes, a row per perturbation.

    Parameters
    ----------
    profiles
        A row per well in units of the controls' spread (z-scores or robust z-scores).
    perturbation
        Columns that replicates share.
    threshold
        Absolute value that the median over replicates has to reach.

    Returns
    -------
    polars.DataFrame
        Those columns, `replicates`, `induction` (0 to 1, over the features with a value).

    References
    ----------
    Christoforow et al., Angew. Chem. Int. Ed. 58:14715 (2019).
    """
    frame = profiles.lazy().collect()
    keys = key_columns(frame, perturbation)
    values = matrix(frame, feature_columns(frame))
    rows = []
    for key, members in groups(frame, keys):
        centre = median(values[:, members])
        known = ~np.isnan(centre)
        share = float((np.abs(centre[known]) >= threshold).mean()) if known.any() else float("nan")
        rows.append({**key, "replicates": members.size, "induction": share})
    schema = {name: frame.schema[name] for name in keys}
    return pl.DataFrame(rows, {**schema, "replicates": pl.Int64, "induction": pl.Float64}).sort(
        keys
    )


def grit(
    profiles: pl.DataFrame | pl.LazyFrame,
    perturbation: str | Iterable[str],
    reference: pl.Expr,
    plate: str | Iterable[str] = ("Metadata_Plate",),
) -> pl.DataFrame:
    """How far replicates resemble each other beyond their resemblance to controls, in SDs.

    A well's score is the mean, over its replicates, of their Pearson correlation with it as a
    z-score of its correlations with the controls of its own plate. A perturbation's score is the
    mean over its wells.

    Returns
    -------
    polars.DataFrame
        A row per perturbation that is no control: its columns, `replicates`, `grit` (NaN without
        a second well, or where the controls' correlations don't vary).

    Raises
    ------
    ControlsMissingError
        If a plate with treated wells has fewer than two controls; names it.

    References
    ----------
    Way et al., grit in cytominer-eval (2021).
    """
    frame = profiles.lazy().collect()
    keys = key_columns(frame, perturbation)
    is_control = chosen_rows(frame, reference)
    values = matrix(frame, feature_columns(frame)).T
    labels = codes(frame, keys)
    score = np.full(frame.height, np.nan)
    replicates = {label: np.flatnonzero((labels == label) & ~is_control) for label in set(labels)}
    for key, rows in groups(frame, key_columns(frame, plate)):
        treated, controls = rows[~is_control[rows]], rows[is_control[rows]]
        if treated.size and controls.size < 2:
            raise ControlsMissingError(
                "grit", group_name(key), f"at least two wells of {reference}"
            )
        for well in treated.tolist():
            partners = replicates[labels[well]]
            partners = partners[partners != well]
            if not partners.size:
                continue
            correlation = pearson(values[np.r_[well, controls, partners]])[0, 1:]
            to_controls, to_partners = correlation[: controls.size], correlation[controls.size :]
            spread = np.nanstd(to_controls)
            if spread > 1e-12:
                score[well] = np.nanmean((to_partners - np.nanmean(to_controls)) / spread)
    table = frame.select(keys).with_columns(score=pl.Series(score)).filter(~pl.Series(is_control))
    return (
        table.group_by(keys)
        .agg(pl.len().cast(pl.Int64).alias("replicates"), pl.col("score").mean().alias("grit"))
        .sort(keys)
    )
