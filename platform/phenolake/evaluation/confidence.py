"""How far a score could be off had other compounds been screened: bootstrap over compounds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

_DRAWS_AT_ONCE = 2_000_000


class Interval(NamedTuple):
    """Ends of a confidence interval; NaN where one compound alone was scored."""

    low: float
    high: float


UNKNOWN = Interval(float("nan"), float("nan"))


def bootstrap_interval(
    values: np.ndarray | pl.Series,
    compounds: np.ndarray | pl.Series,
    level: float = 0.95,
    repeats: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the mean of `values`, with whole compounds drawn with replacement.

    Rows of one compound (doses, replicates) are not independent; drawing rows would give intervals
    that are too narrow. Values are taken as they are: neighbours are not searched anew.

    Parameters
    ----------
    values
        One per row, such as right (1) or wrong (0); NaN rows are left out.
    compounds
        What each row belongs to.

    References
    ----------
    Efron, Tibshirani, An Introduction to the Bootstrap (1993), percentile interval.
    """
    numbers = np.asarray(values, np.float64)
    labels = np.asarray(pl.Series(compounds).rank("dense").fill_null(0), np.int64)
    used = ~np.isnan(numbers)
    labels = np.unique(labels[used], return_inverse=True)[1]
    count = int(labels.max(initial=-1)) + 1
    if count < 2:
        return UNKNOWN
    sums = np.bincount(labels, numbers[used])
    sizes = np.bincount(labels)
    rng = np.random.default_rng(seed)
    means = []
    at_once = max(1, _DRAWS_AT_ONCE // count)
    for start in range(0, repeats, at_once):
        drawn = rng.integers(0, count, (min(at_once, repeats - start), count))
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    ends = np.quantile(np.concatenate(means), ((1 - level) / 2, (1 + level) / 2))
    return Interval(float(ends[0]), float(ends[1]))
