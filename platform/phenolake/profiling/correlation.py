"""Pearson correlation between the rows of a matrix that may have gaps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_ROWS_AT_ONCE = 128
_COLUMNS_AT_ONCE = 1024


def pearson(values: np.ndarray) -> np.ndarray:
    """Correlations between rows, float64, shape (row, row); NaN where undefined.

    A pair with gaps is compared where both have values.
    """
    gaps = np.isnan(values)
    broken = gaps.any(axis=1)
    if not broken.any():
        return _of_complete(values)
    # What a pair shares takes six products of matrices instead of one. Only rows with gaps need
    # them, and a row without any value correlates with nothing.
    result = np.full((len(values), len(values)), np.nan)
    whole, some = np.flatnonzero(~broken), np.flatnonzero(broken & ~gaps.all(axis=1))
    result[np.ix_(whole, whole)] = _of_complete(values, whole)
    if some.size:
        first = _centred(values[some], gaps[some])
        rest = np.concatenate([some, whole])
        for start in range(0, rest.size, _ROWS_AT_ONCE):
            block = rest[start : start + _ROWS_AT_ONCE]
            shared = _of_shared(first, _centred(values[block], gaps[block]))
            result[np.ix_(some, block)] = shared
            result[np.ix_(block, some)] = shared.T
    return result


def _of_complete(values: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Correlations between some rows without gaps, a block of columns at a time.

    A centred copy of the whole matrix would cost more than half as long as the product itself.
    """
    with np.errstate(all="ignore"):  # infinite values, constant rows: NaN
        mean = values.mean(axis=1, dtype=np.float64, keepdims=True)[rows]
        covariance = np.zeros((len(mean), len(mean)))
        for start in range(0, values.shape[1], _COLUMNS_AT_ONCE):
            block = values[rows, start : start + _COLUMNS_AT_ONCE] - mean
            covariance += block @ block.T
        spread = np.sqrt(np.diag(covariance))
        covariance /= spread
        covariance /= spread[:, None]
    return np.clip(covariance, -1, 1, out=covariance)


class _Centred(NamedTuple):
    """Rows around their means, so that sums of squares lose few digits; 0 in the gaps."""

    present: np.ndarray
    values: np.ndarray
    squares: np.ndarray


def _centred(values: np.ndarray, gaps: np.ndarray) -> _Centred:
    present = (~gaps).astype(np.float64)
    total = np.where(gaps, 0, values).sum(axis=1, keepdims=True)
    centred = np.where(gaps, 0, values - total / present.sum(axis=1, keepdims=True))
    return _Centred(present, centred, centred**2)


def _of_shared(first: _Centred, second: _Centred) -> np.ndarray:
    """Correlations of the rows of one matrix with those of another, where both have values."""
    with np.errstate(all="ignore"):
        count = first.present @ second.present.T
        sums = first.values @ second.present.T
        other_sums = first.present @ second.values.T
        covariance = first.values @ second.values.T - sums * other_sums / count
        spread = np.clip(first.squares @ second.present.T - sums**2 / count, 0, None)
        other_spread = np.clip(first.present @ second.squares.T - other_sums**2 / count, 0, None)
        return np.clip(covariance / np.sqrt(spread * other_spread), -1, 1)
