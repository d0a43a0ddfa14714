"""How two channels go together within each object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def correlations(
    values: NDArray[np.float64],
    centres: NDArray[np.float64],
    ranks: NDArray[np.int32],
    starts: NDArray[np.int64],
    share: float,
) -> NDArray[np.float64]:
    """Nine coefficients of every channel pair in every object, shape (objects, pairs, 9).

    Pairs run (0, 1), (0, 2), ... (1, 2), ... Coefficients: Pearson's correlation, slope of the
    second on the first, overlap, K of first and second, Manders' of first and second, rank
    weighted of first and second. All but the first two use the pixels where both channels reach
    `share` of their largest value in the object, and are 0 where there are none.
    """
    channels = values.shape[0]
    count = starts.shape[0] - 1
    out = np.empty((count, channels * (channels - 1) // 2, 9))
    threshold = np.empty(channels)
    above = np.empty(channels)
    variance = np.empty(channels)
    levels = np.empty(channels, np.int64)
    for k in range(count):
        first, last = starts[k], starts[k + 1]
        for c in range(channels):
            largest, top, squares = -np.inf, 0, 0.0
            for p in range(first, last):
                value = values[c, p]
                largest = max(largest, value)
                top = max(top, ranks[c, p])
                squares += (value - centres[k, c]) * (value - centres[k, c])
            total = 0.0
            limit = share * largest
            for p in range(first, last):
                if values[c, p] >= limit:
                    total += values[c, p]
            threshold[c], above[c], variance[c], levels[c] = limit, total, squares, top
        pair = 0
        for i in range(channels):
            for j in range(i + 1, channels):
                most = max(levels[i], levels[j]) + 1
                covariance = 0.0
                square_i, square_j, product = 0.0, 0.0, 0.0
                sum_i, sum_j, ranked_i, ranked_j = 0.0, 0.0, 0.0, 0.0
                together = 0
                for p in range(first, last):
                    a, b = values[i, p], values[j, p]
                    covariance += (a - centres[k, i]) * (b - centres[k, j])
                    if a >= threshold[i] and b >= threshold[j]:
                        together += 1
                        weight = np.float64(most - abs(ranks[i, p] - ranks[j, p]))
                        square_i += a * a
                        square_j += b * b
                        product += a * b
                        sum_i += a
                        sum_j += b
                        ranked_i += a * weight
                        ranked_j += b * weight
                row = out[k, pair]
                spread = np.sqrt(variance[i]) * np.sqrt(variance[j])
                row[0] = _ratio(covariance, spread)
                row[0] = min(1.0, max(-1.0, row[0])) if spread > 0.0 else np.nan
                row[1] = _ratio(covariance, variance[i])
                if together == 0:
                    row[2:] = 0.0
                else:
                    row[2] = _ratio(product, np.sqrt(square_i * square_j))
                    row[3] = _ratio(product, square_i)
                    row[4] = _ratio(product, square_j)
                    row[5] = _ratio(sum_i, above[i])
                    row[6] = _ratio(sum_j, above[j])
                    row[7] = _ratio(ranked_i / most, above[i])
                    row[8] = _ratio(ranked_j / most, above[j])
                pair += 1
    return out


@kernel
def _ratio(part: float, whole: float) -> float:
    """The quotient, NaN instead of a division by zero."""
    return part / whole if whole != 0.0 else np.nan
