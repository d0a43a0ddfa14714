"""How a well's cells differ from each other: spread of each feature, and their covariances in brief."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError
from phenolake.profiling.aggregation import CELL_COUNT
from phenolake.profiling.feature_matrix import feature_columns, groups, key_columns, matrix
from phenolake.profiling.robust_stats import median_absolute_deviation


def heterogeneity(
    cells: pl.DataFrame | pl.LazyFrame,
    by: str | Iterable[str],
    features: Sequence[str] | None = None,
    projections: int = 200,
    seed: int = 0,
) -> pl.DataFrame:
    """One row per group of cells: spread of every feature, and projections of their covariance.

    Parameters
    ----------
    cells
        A row per cell, normalized cell by cell or not: the covariance is that of robustly
        standardized features (median and MAD over all cells of the table).
    by
        Columns that name a group.
    features
        Features to use; None takes all. All their pairs enter the covariance.
    projections
        Length of the covariance part. Each is the sum of a random few covariances with random
        signs, the same for every group: distances between groups are kept on average.
    seed
        Of the random choice.

    Returns
    -------
    polars.DataFrame
        Sorted by `by`: those columns, `Metadata_CellCount`, `<feature>_mad` (x 1.4826, in units of
        the feature), `Covariance_000`, ... NaN for groups of fewer than two complete cells.

    References
    ----------
    Rohban et al., Capturing single-cell heterogeneity via data fusion, Nat. Commun. 10:2082
    (2019); Li, Hastie, Church, Very sparse random projections, KDD (2006).
    """
    by = key_columns(cells, by)
    features = [
        name
        for name in key_columns(cells, features if features is not None else feature_columns(cells))
        if name not in by
    ]
    if not features:
        raise ConfigurationError("heterogeneity: the table has no features")
    frame = cells.lazy().select(*by, *features).collect().sort(by, maintain_order=True)
    values = matrix(frame, features)
    spread_of_all = median_absolute_deviation(values)
    scale = np.divide(1, spread_of_all, out=np.zeros(len(features)), where=spread_of_all > 0)
    first, second, sign = _sparse_pairs(len(features), projections, seed)
    rows = groups(frame, by)
    spreads = np.empty((len(features), len(rows)))
    covariances = np.full((projections, len(rows)), np.nan)
    for index, (_, members) in enumerate(rows):
        own = values[:, members]
        spreads[:, index] = median_absolute_deviation(own)
        whole = own[:, np.isfinite(own).all(axis=0)] * scale[:, None]
        if whole.shape[1] > 1:
            covariance = np.atleast_2d(np.cov(whole))
            covariances[:, index] = (sign * covariance[first, second]).sum(axis=1)
    table = pl.DataFrame([key for key, _ in rows], schema={name: frame.schema[name] for name in by})
    counts = pl.Series(CELL_COUNT, [members.size for _, members in rows], pl.Int64)
    return table.hstack(
        [
            counts,
            *(pl.Series(f"{name}_mad", row) for name, row in zip(features, spreads, strict=True)),
            *(pl.Series(f"Covariance_{i:03d}", row) for i, row in enumerate(covariances)),
        ]
    )


def _sparse_pairs(
    features: int, projections: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of features and signs of each projection, shape (projection, term).

    A projection of p pairs has about sqrt(p) terms, scaled to keep squared lengths on average.
    """
    rng = np.random.default_rng(seed)
    upper = np.triu_indices(features)
    pairs = upper[0].size
    terms = max(1, round(np.sqrt(pairs)))
    chosen = rng.integers(0, pairs, (projections, terms))
    sign = rng.choice((-1.0, 1.0), (projections, terms)) * np.sqrt(pairs / terms / projections)
    return upper[0][chosen], upper[1][chosen], sign
