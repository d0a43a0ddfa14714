"""Pearson correlation between the rows of a matrix that may have gaps."""

from __future__ import annotations

import numpy as np


def pearson(values: np.ndarray) -> np.ndarray:
    """Correlations between rows, float64, shape (row, row); NaN where undefined.

    A pair with gaps is compared where both have values.
    """
    gaps = np.isnan(values)
    with np.errstate(all="ignore"):
        if not gaps.any():
            return np.atleast_2d(np.corrcoef(values))
        present = (~gaps).astype(np.float64)
        # Shifted to mean 0 first: sums of squares lose fewer digits.
        total = np.where(gaps, 0, values).sum(axis=1, keepdims=True)
        shifted = np.where(gaps, 0, values - total / present.sum(axis=1, keepdims=True))
        count = present @ present.T
        sums = shifted @ present.T  # of row i, where row j has values
        squares = (shifted**2) @ present.T
        covariance = shifted @ shifted.T - sums * sums.T / count
        spread = np.sqrt(np.clip(squares - sums**2 / count, 0, None))
        return np.clip(covariance / (spread * spread.T), -1, 1)
