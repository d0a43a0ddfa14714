"""Location and spread of each row of a matrix, with NaN left out.

Conventions: the median of an even number is the mean of the middle two; SD has ddof 0; the MAD
is scaled by 1.4826 so that it estimates the SD of a normal distribution.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np

from phenolake.errors import UnknownNameError

MAD_TO_SD = 1.4826


def mean(values: np.ndarray) -> np.ndarray:
    """Mean of each row, float64, shape (row,); NaN where a row has no value."""
    missing = np.isnan(values)
    if not missing.any():
        return values.mean(axis=1, dtype=np.float64) if values.shape[1] else _nothing(values)
    count = np.count_nonzero(~missing, axis=1)
    total = np.where(missing, 0, values).sum(axis=1, dtype=np.float64)
    return np.divide(total, count, out=_nothing(values), where=count > 0)


def standard_deviation(values: np.ndarray) -> np.ndarray:
    """SD (ddof 0) of each row, float64; exactly 0 where all values are equal."""
    with np.errstate(over="ignore"):
        spread = np.sqrt(mean((values - mean(values)[:, None]) ** 2))
    # The mean of equal floats can differ from them by a rounding error.
    spread[is_constant(values)] = 0
    return spread


def median(values: np.ndarray) -> np.ndarray:
    """Median of each row, float64; NaN where a row has no value."""
    result = _nothing(values)
    width = values.shape[1]
    if width == 0:
        return result
    # min() is NaN when any value is: one pass without a mask in the usual case.
    broken = np.isnan(values.min(axis=1))
    if broken.any():
        result[broken] = _median_with_gaps(values[broken])
        whole = ~broken
        result[whole] = _median_without_gaps(values[whole])
        return result
    return _median_without_gaps(values)


def median_absolute_deviation(values: np.ndarray, centre: np.ndarray | None = None) -> np.ndarray:
    """1.4826 times the median distance of each row from its median, float64."""
    centre = median(values) if centre is None else centre
    return MAD_TO_SD * median(np.abs(values - centre[:, None]))


def is_constant(values: np.ndarray) -> np.ndarray:
    """Mark each row whose values are all equal; rows without values are not constant."""
    if values.shape[1] == 0:
        return np.zeros(values.shape[0], bool)
    return np.fmax.reduce(values, axis=1) == np.fmin.reduce(values, axis=1)


def quantile(values: np.ndarray, share: float) -> np.ndarray:
    """Quantile of each row by linear interpolation, float64; NaN where a row has no value."""
    result = _nothing(values)
    if values.shape[1] == 0:
        return result
    broken = np.isnan(values.min(axis=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a row of gaps alone
        result[broken] = np.nanquantile(values[broken].astype(np.float64), share, axis=1)
    result[~broken] = np.quantile(values[~broken].astype(np.float64), share, axis=1)
    return result


STATISTICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": mean,
    "median": median,
    "mad": median_absolute_deviation,
    "sd": standard_deviation,
}


def statistic_named(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the statistic of a name: one of `STATISTICS`, or `q10` for the 10th percentile.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    if name in STATISTICS:
        return STATISTICS[name]
    percent = re.fullmatch(r"q(\d{1,2})", name)
    if percent is None:
        raise UnknownNameError("statistic", name, [*STATISTICS, "q10", "q90"])
    return partial(quantile, share=int(percent[1]) / 100)


def _nothing(values: np.ndarray) -> np.ndarray:
    return np.full(values.shape[0], np.nan)


def _median_without_gaps(values: np.ndarray) -> np.ndarray:
    width = values.shape[1]
    upper = width // 2
    part = np.partition(values, upper, axis=1)
    high = part[:, upper].astype(np.float64)
    if width % 2:
        return high
    return 0.5 * (high + part[:, :upper].max(axis=1))


def _median_with_gaps(values: np.ndarray) -> np.ndarray:
    ordered = np.sort(values, axis=1)  # NaN sorts last
    count = np.count_nonzero(~np.isnan(values), axis=1)
    rows = np.arange(values.shape[0])
    low = ordered[rows, np.maximum(count - 1, 0) // 2].astype(np.float64)
    return 0.5 * (low + ordered[rows, np.minimum(count // 2, values.shape[1] - 1)])
