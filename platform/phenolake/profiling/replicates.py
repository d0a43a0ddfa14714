"""Consensus profiles: the replicates of a perturbation as one profile."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import polars as pl

from phenolake.errors import UnknownNameError
from phenolake.profiling.aggregation import CELL_COUNT
from phenolake.profiling.feature_matrix import (
    feature_columns,
    groups,
    key_columns,
    matrix,
    metadata_columns,
    with_matrix,
)
from phenolake.profiling.robust_stats import mean, median

WELL_COUNT = "Metadata_WellCount"
_ROW = "__row"


def consensus(
    profiles: pl.DataFrame | pl.LazyFrame, by: str | Iterable[str], method: str = "median"
) -> pl.DataFrame:
    """One profile per group of replicates.

    Parameters
    ----------
    profiles
        A row per well.
    by
        Columns that name a perturbation, such as compound and concentration. A null is a value.
    method
        `median`, `mean`, or `modz`: mean weighted by how well a replicate agrees with the others.

    Returns
    -------
    polars.DataFrame
        Sorted by `by`: those columns; `Metadata_WellCount` (int64); the sum of
        `Metadata_CellCount` where there is one; every other metadata column that has one value
        within each group (a mechanism of action goes with its compound); features (float64).

    References
    ----------
    `modz`: Subramanian et al., Cell 171:1437 (2017), as in pycytominer 1.7: Spearman correlations
    between replicates, negative ones as 0, mean over the other replicates, at least 0.01, scaled
    to sum 1 and rounded to 4 decimals.
    """
    if method not in METHODS:
        raise UnknownNameError("consensus method", method, METHODS)
    frame = profiles.lazy().collect()
    by = key_columns(frame, by)
    features = feature_columns(frame)
    values = matrix(frame, features)
    # Only the metadata are sorted: rows of the matrix are taken where they are.
    wells = frame.select(metadata_columns(frame)).with_row_index(_ROW).sort(by, maintain_order=True)
    order = wells[_ROW].to_numpy()
    wells = wells.drop(_ROW)
    members = [order[rows] for _, rows in groups(wells, by)]
    result = np.empty((len(features), len(members)))
    for index, rows in enumerate(members):
        result[:, index] = METHODS[method](values[:, rows])
    return with_matrix(_metadata(wells, by), features, result)


def _metadata(frame: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    others = [
        name
        for name in frame.columns
        if name.startswith("Metadata_") and name not in (*by, CELL_COUNT, WELL_COUNT)
    ]
    grouped = frame.group_by(by, maintain_order=True)
    if others:
        distinct = grouped.agg(pl.col(others).n_unique()).select(others).max()
        others = [name for name in others if (distinct[name].item() or 0) <= 1]
    counts = [pl.len().cast(pl.Int64).alias(WELL_COUNT)]
    if CELL_COUNT in frame.columns:
        counts.append(pl.col(CELL_COUNT).sum())
    return grouped.agg(*counts, *(pl.col(name).first() for name in others))


def _modz(values: np.ndarray, min_weight: float = 0.01, decimals: int = 4) -> np.ndarray:
    from scipy.stats import rankdata

    replicates = values.shape[1]
    if replicates == 1:
        return values[:, 0].copy()
    shared = ~np.isnan(values).any(axis=1)
    ranks = rankdata(values[shared], axis=0)
    with np.errstate(all="ignore"):
        agreement = np.atleast_2d(np.corrcoef(ranks.T))
    # Constant replicates have no correlation; they count as unrelated.
    agreement = np.clip(np.nan_to_num(agreement), 0, None)
    np.fill_diagonal(agreement, 0)
    weights = np.maximum(agreement.sum(axis=1) / (replicates - 1), min_weight)
    weights = np.round(weights / weights.sum(), decimals)
    weighted = np.nansum(values * weights, axis=1)
    # A gap takes its weight with it; without gaps the weights stay as rounded.
    gaps = np.isnan(values)
    left = (~gaps * weights).sum(axis=1)
    rescaled = np.divide(
        weighted * weights.sum(), left, out=np.full(weighted.shape, np.nan), where=left > 0
    )
    return np.where(gaps.any(axis=1), rescaled, weighted)


METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "median": median,
    "mean": mean,
    "modz": _modz,
}
