"""How two channels go together within each object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel, summing_kernel

Pixels = NDArray[np.float64]
Ranks = NDArray[np.int32]


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
            here = values[c, first:last]
            largest, levels[c], variance[c] = _extremes(here, ranks[c, first:last], centres[k, c])
            threshold[c] = share * largest
            above[c] = _sum_above(here, threshold[c])
        pair = 0
        for i in range(channels):
            for j in range(i + 1, channels):
                a, b = values[i, first:last], values[j, first:last]
                row = out[k, pair]
                covariance = _covariance(a, b, centres[k, i], centres[k, j])
                spread = np.sqrt(variance[i]) * np.sqrt(variance[j])
                row[0] = _ratio(covariance, spread)
                row[0] = min(1.0, max(-1.0, row[0])) if spread > 0.0 else np.nan
                row[1] = _ratio(covariance, variance[i])
                together, square_a, square_b, product, sum_a, sum_b = _sums_above(
                    a, b, threshold[i], threshold[j]
                )
                if together == 0:
                    row[2:] = 0.0
                else:
                    row[2] = _ratio(product, np.sqrt(square_a * square_b))
                    row[3] = _ratio(product, square_a)
                    row[4] = _ratio(product, square_b)
                    row[5] = _ratio(sum_a, above[i])
                    row[6] = _ratio(sum_b, above[j])
                    most = max(levels[i], levels[j]) + 1
                    ranked_a, ranked_b = _sums_by_rank(
                        a, b, ranks[i, first:last], ranks[j, first:last],
                        threshold[i], threshold[j], most,
                    )  # fmt: skip
                    row[7] = _ratio(ranked_a / most, above[i])
                    row[8] = _ratio(ranked_b / most, above[j])
                pair += 1
    return out


@summing_kernel
def _extremes(values: Pixels, ranks: Ranks, centre: float) -> tuple[float, int, float]:
    """Largest value and rank, and the sum of squared differences to the centre."""
    largest, top, squares = values[0], ranks[0], 0.0
    for p in range(values.shape[0]):
        largest = max(largest, values[p])
        top = max(top, ranks[p])
        squares += (values[p] - centre) * (values[p] - centre)
    return largest, int(top), squares


@summing_kernel
def _sum_above(values: Pixels, threshold: float) -> float:
    total = 0.0
    for p in range(values.shape[0]):
        total += values[p] if values[p] >= threshold else 0.0
    return total


@summing_kernel
def _covariance(a: Pixels, b: Pixels, centre_a: float, centre_b: float) -> float:
    total = 0.0
    for p in range(a.shape[0]):
        total += (a[p] - centre_a) * (b[p] - centre_b)
    return total


@summing_kernel
def _sums_above(
    a: Pixels, b: Pixels, threshold_a: float, threshold_b: float
) -> tuple[int, float, float, float, float, float]:
    """Where both reach their thresholds: how many, sums of a * a, b * b, a * b, a and b."""
    together, square_a, square_b, product, sum_a, sum_b = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    for p in range(a.shape[0]):
        both = (a[p] >= threshold_a) & (b[p] >= threshold_b)
        together += both
        x = a[p] if both else 0.0
        y = b[p] if both else 0.0
        square_a += x * x
        square_b += y * y
        product += x * y
        sum_a += x
        sum_b += y
    return together, square_a, square_b, product, sum_a, sum_b


@summing_kernel
def _sums_by_rank(
    a: Pixels,
    b: Pixels,
    ranks_a: Ranks,
    ranks_b: Ranks,
    threshold_a: float,
    threshold_b: float,
    most: int,
) -> tuple[float, float]:
    """Where both reach their thresholds: sums of a and b times `most` less their ranks' distance."""
    ranked_a, ranked_b = 0.0, 0.0
    for p in range(a.shape[0]):
        both = (a[p] >= threshold_a) & (b[p] >= threshold_b)
        weight = float(most - abs(ranks_a[p] - ranks_b[p])) if both else 0.0
        ranked_a += a[p] * weight
        ranked_b += b[p] * weight
    return ranked_a, ranked_b


@kernel
def _ratio(part: float, whole: float) -> float:
    """The quotient, NaN instead of a division by zero."""
    return part / whole if whole != 0.0 else np.nan
