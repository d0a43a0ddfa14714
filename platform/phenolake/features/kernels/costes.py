"""Costes' automatic threshold of two channels within each object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel, summing_kernel

_MOST_STEPS = 256
Pixels = NDArray[np.float64]


@kernel
def costes(
    values: NDArray[np.float64],
    centres: NDArray[np.float64],
    starts: NDArray[np.int64],
    steps: int,
) -> NDArray[np.float64]:
    """Manders' coefficients of first and second above Costes' thresholds, (objects, pairs, 2).

    Pairs run (0, 1), (0, 2), ... (1, 2), ... Thresholds lie on a grid of `steps` from 0 to 1. NaN
    where no threshold is found.
    """
    channels = values.shape[0]
    count = starts.shape[0] - 1
    out = np.full((count, channels * (channels - 1) // 2, 2), np.nan)
    highest = np.empty(channels)
    lowest = np.empty(channels)
    for k in range(count):
        for c in range(channels):
            lowest[c], highest[c] = _range(values[c, starts[k] : starts[k + 1]])
        pair = 0
        for i in range(channels):
            for j in range(i + 1, channels):
                if min(lowest[i], lowest[j]) >= 0.0 and max(highest[i], highest[j]) <= 1.0:
                    x = values[i, starts[k] : starts[k + 1]]
                    y = values[j, starts[k] : starts[k + 1]]
                    means = centres[k, i], centres[k, j]
                    dark = lowest[i] == 0.0 and lowest[j] == 0.0
                    slope, offset = _regression(x, y, means, dark)
                    if not np.isnan(slope):
                        step = _threshold_step(
                            x, y, means, highest[i], highest[j], slope, offset, steps
                        )
                        if not np.isnan(step):
                            limit = (step - 1) / steps
                            _fractions(x, y, means, limit, slope * limit + offset, out[k, pair])
                pair += 1
    return out


@summing_kernel
def _range(values: Pixels) -> tuple[float, float]:
    low, high = values[0], values[0]
    for p in range(values.shape[0]):
        low = values[p] if values[p] < low else low
        high = values[p] if values[p] > high else high
    return low, high


@kernel
def _regression(
    x: Pixels, y: Pixels, means: tuple[float, float], dark: bool
) -> tuple[float, float]:
    """Slope and offset of the orthogonal regression of y on x where either is above 0, or NaN.

    `dark` says that both channels have pixels of 0.
    """
    size = x.shape[0]
    mean_x, mean_y = means
    sx, sy, sxx, syy, sxy = _sums(x, y, mean_x, mean_y)
    if dark:
        # Pixels dark in both all have the same differences.
        both = _dark_in_both(x, y)
        size -= both
        sx += both * mean_x
        sy += both * mean_y
        sxx -= both * mean_x * mean_x
        syy -= both * mean_y * mean_y
        sxy -= both * mean_x * mean_y
    if size < 3 or not _differ_where_bright(x, y):
        return np.nan, np.nan
    var_x = (sxx - sx * sx / size) / (size - 1)
    var_y = (syy - sy * sy / size) / (size - 1)
    covariance = (sxy - sx * sy / size) / (size - 1)
    if abs(covariance) <= 8 * 2.0**-52 * max(var_x, var_y):
        return np.nan, np.nan
    excess = var_y - var_x
    slope = (excess + np.sqrt(excess * excess + 4 * covariance * covariance)) / (2 * covariance)
    return slope, mean_y + sy / size - slope * (mean_x + sx / size)


@summing_kernel
def _sums(
    x: Pixels, y: Pixels, mean_x: float, mean_y: float
) -> tuple[float, float, float, float, float]:
    sx, sy, sxx, syy, sxy = 0.0, 0.0, 0.0, 0.0, 0.0
    for p in range(x.shape[0]):
        a, b = x[p] - mean_x, y[p] - mean_y
        sx += a
        sy += b
        sxx += a * a
        syy += b * b
        sxy += a * b
    return sx, sy, sxx, syy, sxy


@kernel
def _dark_in_both(x: Pixels, y: Pixels) -> int:
    both = 0
    for p in range(x.shape[0]):
        both += (x[p] == 0.0) & (y[p] == 0.0)
    return both


@kernel
def _differ_where_bright(x: Pixels, y: Pixels) -> bool:
    """Whether both channels vary over the pixels where either is above 0."""
    first, differ_x, differ_y = -1, False, False
    for p in range(x.shape[0]):
        if x[p] > 0.0 or y[p] > 0.0:
            if first < 0:
                first = p
            differ_x |= x[p] != x[first]
            differ_y |= y[p] != y[first]
            if differ_x and differ_y:
                return True
    return False


@kernel
def _threshold_step(
    x: Pixels,
    y: Pixels,
    means: tuple[float, float],
    top_x: float,
    top_y: float,
    slope: float,
    offset: float,
    steps: int,
) -> float:
    """The lowest step tried below which the pixels do not correlate negatively, NaN if none.

    CellProfiler's `Faster` search: a step five sixths up a shrinking window.
    """
    overall = _covariance(x, y, means, np.inf, np.inf)
    left, right = 1.0, np.float64(steps)
    middle, before, found = (right - left) // 1.2 + left, 0.0, np.nan
    for _ in range(_MOST_STEPS):
        limit_x = middle / steps
        limit_y = slope * limit_x + offset
        covariance = overall
        if limit_x <= top_x and limit_y <= top_y:
            covariance = _covariance(x, y, means, limit_x, limit_y)
        if covariance >= 0.0:
            right = middle + 1
            found = middle
        else:  # negative, or undefined: too few or constant pixels below
            left = middle - 1
        before = middle
        middle = (right - left) // (1.2 if right - left > 6 else 2.0) + left
        if middle == before:
            return found
    return np.nan


@kernel
def _covariance(
    x: Pixels, y: Pixels, means: tuple[float, float], limit_x: float, limit_y: float
) -> float:
    """Sum of products of deviations of the pixels with x or y below its limit.

    NaN with under three such pixels or a channel constant over them.
    """
    size, sx, sy, sxy = _below(x, y, means[0], means[1], limit_x, limit_y)
    if size < 3:
        return np.nan
    expected = sx * sy / size
    # Without variation the difference is rounding: look closer only where it is that small.
    close = abs(sxy - expected) <= 1e-12 * (abs(sxy) + abs(expected))
    if close and not _differ_below(x, y, limit_x, limit_y):
        return np.nan
    return sxy - expected


@summing_kernel
def _below(
    x: Pixels, y: Pixels, mean_x: float, mean_y: float, limit_x: float, limit_y: float
) -> tuple[int, float, float, float]:
    """How many pixels have x or y below its limit, and the sums of their x, y and x * y.

    Differences to the mean keep the sum of products exact enough for its sign.
    """
    size, sx, sy, sxy = 0, 0.0, 0.0, 0.0
    for p in range(x.shape[0]):
        inside = (x[p] < limit_x) | (y[p] < limit_y)
        size += inside
        a, b = x[p] - mean_x, y[p] - mean_y
        a = a if inside else 0.0
        b = b if inside else 0.0
        sx += a
        sy += b
        sxy += a * b
    return size, sx, sy, sxy


@kernel
def _differ_below(x: Pixels, y: Pixels, limit_x: float, limit_y: float) -> bool:
    """Whether both channels vary over the pixels with x or y below its limit."""
    first, differ_x, differ_y = -1, False, False
    for p in range(x.shape[0]):
        if x[p] < limit_x or y[p] < limit_y:
            if first < 0:
                first = p
            differ_x |= x[p] != x[first]
            differ_y |= y[p] != y[first]
    return differ_x and differ_y


@kernel
def _fractions(
    x: Pixels,
    y: Pixels,
    means: tuple[float, float],
    limit_x: float,
    limit_y: float,
    out: NDArray[np.float64],
) -> None:
    """Share of each channel's intensity above its limit that is above both; stays NaN if undefined.

    Undefined without intensity above a limit, or with fewer than three or constant pixels below.
    """
    if np.isnan(_covariance(x, y, means, limit_x, limit_y)):
        return
    together_x, together_y, above_x, above_y = _above(x, y, limit_x, limit_y)
    if above_x > 0.0 and above_y > 0.0:
        out[0] = together_x / above_x
        out[1] = together_y / above_y


@summing_kernel
def _above(
    x: Pixels, y: Pixels, limit_x: float, limit_y: float
) -> tuple[float, float, float, float]:
    """Sums of x and y where both are above their limits, and where each reaches its own."""
    together_x, together_y, above_x, above_y = 0.0, 0.0, 0.0, 0.0
    for p in range(x.shape[0]):
        both = (x[p] > limit_x) & (y[p] > limit_y)
        together_x += x[p] if both else 0.0
        together_y += y[p] if both else 0.0
        above_x += x[p] if x[p] >= limit_x else 0.0
        above_y += y[p] if y[p] >= limit_y else 0.0
    return together_x, together_y, above_x, above_y
