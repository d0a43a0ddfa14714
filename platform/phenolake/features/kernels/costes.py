"""Costes' automatic threshold of two channels within each object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel

_MOST_STEPS = 256
#: Pixels, their sums of x, y and x * y, an x and a y among them, and whether x and y differ.
Summary = tuple[int, float, float, float, float, float, bool, bool]


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
    largest = 0
    for k in range(count):
        largest = max(largest, starts[k + 1] - starts[k])
    pixels = np.arange(largest)
    open_pixels = np.empty(largest, np.int64)
    out = np.full((count, channels * (channels - 1) // 2, 2), np.nan)
    shifted = np.empty((channels, largest))
    highest = np.empty(channels)
    lowest = np.empty(channels)
    for k in range(count):
        size = starts[k + 1] - starts[k]
        here = values[:, starts[k] : starts[k + 1]]
        for c in range(channels):
            lowest[c], highest[c] = here[c].min(), here[c].max()
            # Differences to the mean keep the sums of products exact enough for their sign.
            for p in range(size):
                shifted[c, p] = here[c, p] - centres[k, c]
        pair = 0
        for i in range(channels):
            for j in range(i + 1, channels):
                if min(lowest[i], lowest[j]) >= 0.0 and max(highest[i], highest[j]) <= 1.0:
                    x, y = here[i], here[j]
                    dx, dy = shifted[i, :size], shifted[j, :size]
                    slope, offset = _regression(x, y, dx, dy, centres[k, i], centres[k, j])
                    if not np.isnan(slope):
                        step = _threshold_step(
                            x, y, dx, dy, highest[i], highest[j], slope, offset, steps,
                            pixels[:size], open_pixels,
                        )  # fmt: skip
                        if not np.isnan(step):
                            limit = (step - 1) / steps
                            _fractions(x, y, limit, slope * limit + offset, out[k, pair])
                pair += 1
    return out


@kernel
def _regression(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    dx: NDArray[np.float64],
    dy: NDArray[np.float64],
    mean_x: float,
    mean_y: float,
) -> tuple[float, float]:
    """Slope and offset of the orthogonal regression of y on x where either is above 0, or NaN."""
    size, differ_x, differ_y, first = 0, False, False, -1
    sx, sy, sxx, syy, sxy = 0.0, 0.0, 0.0, 0.0, 0.0
    for p in range(x.shape[0]):
        if x[p] > 0.0 or y[p] > 0.0:
            if first < 0:
                first = p
            differ_x |= x[p] != x[first]
            differ_y |= y[p] != y[first]
            size += 1
            sx += dx[p]
            sy += dy[p]
            sxx += dx[p] * dx[p]
            syy += dy[p] * dy[p]
            sxy += dx[p] * dy[p]
    if size < 3 or not differ_x or not differ_y:
        return np.nan, np.nan
    var_x = (sxx - sx * sx / size) / (size - 1)
    var_y = (syy - sy * sy / size) / (size - 1)
    covariance = (sxy - sx * sy / size) / (size - 1)
    if abs(covariance) <= 8 * 2.0**-52 * max(var_x, var_y):
        return np.nan, np.nan
    excess = var_y - var_x
    slope = (excess + np.sqrt(excess * excess + 4 * covariance * covariance)) / (2 * covariance)
    return slope, mean_y + sy / size - slope * (mean_x + sx / size)


@kernel
def _threshold_step(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    dx: NDArray[np.float64],
    dy: NDArray[np.float64],
    top_x: float,
    top_y: float,
    slope: float,
    offset: float,
    steps: int,
    pixels: NDArray[np.int64],
    open_pixels: NDArray[np.int64],
) -> float:
    """The lowest step tried below which the pixels do not correlate negatively, NaN if none.

    CellProfiler's `Faster` search: a step five sixths up a shrinking window. With a rising line a
    pixel is below from some step on: those whose side is settled for the rest of the window are
    summed once, and only `open_pixels` are looked at again.
    """
    nothing = (0, 0.0, 0.0, 0.0, 0.0, 0.0, False, False)
    overall = _covariance(_below(x, y, dx, dy, np.inf, np.inf, pixels, nothing))
    settled, opened, inside = nothing, -1, 0
    settled_from, settled_to = 0.0, 0.0
    left, right = 1.0, np.float64(steps)
    middle, before, found = (right - left) // 1.2 + left, 0.0, np.nan
    for _ in range(_MOST_STEPS):
        limit_x = middle / steps
        limit_y = slope * limit_x + offset
        if limit_x > top_x or limit_y > top_y:
            covariance = overall
        elif slope < 0.0:
            covariance = _covariance(_below(x, y, dx, dy, limit_x, limit_y, pixels, nothing))
        else:
            if opened < 0 or middle < settled_from or middle > settled_to:
                settled, settled_from, settled_to = nothing, left, right
                opened = pixels.shape[0]
                open_pixels[:opened] = pixels
            below = _below(x, y, dx, dy, limit_x, limit_y, open_pixels[:opened], settled)
            covariance = _covariance(below)
            inside = below[0] - settled[0]
        if covariance >= 0.0:
            right = middle + 1
            found = middle
            decided = opened - inside
        else:  # negative, or undefined: too few or constant pixels below
            left = middle - 1
            decided = inside
        # Sorting pixels out costs more than it saves unless it rids of a good part of them.
        if opened > 0 and 4 * decided > opened:
            settled_from, settled_to = max(settled_from, left), min(settled_to, right)
            low, high = settled_from / steps, settled_to / steps
            low_y, high_y = slope * low + offset, slope * high + offset
            settled = _below(x, y, dx, dy, low, low_y, open_pixels[:opened], settled)
            opened = _between(x, y, low, low_y, high, high_y, open_pixels, opened)
        before = middle
        middle = (right - left) // (1.2 if right - left > 6 else 2.0) + left
        if middle == before:
            return found
    return np.nan


@kernel
def _below(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    dx: NDArray[np.float64],
    dy: NDArray[np.float64],
    limit_x: float,
    limit_y: float,
    pixels: NDArray[np.int64],
    others: Summary,
) -> Summary:
    """Summary of the listed pixels with x or y below its limit, together with others."""
    size, sx, sy, sxy, some_x, some_y, differ_x, differ_y = others
    for p in pixels:
        if x[p] < limit_x or y[p] < limit_y:
            if size == 0:
                some_x, some_y = x[p], y[p]
            differ_x |= x[p] != some_x
            differ_y |= y[p] != some_y
            size += 1
            sx += dx[p]
            sy += dy[p]
            sxy += dx[p] * dy[p]
    return size, sx, sy, sxy, some_x, some_y, differ_x, differ_y


@kernel
def _between(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    low_x: float,
    low_y: float,
    high_x: float,
    high_y: float,
    pixels: NDArray[np.int64],
    size: int,
) -> int:
    """Keep the listed pixels below the higher but not the lower threshold; returns how many."""
    kept = 0
    for i in range(size):
        p = pixels[i]
        below_low = x[p] < low_x or y[p] < low_y
        below_high = x[p] < high_x or y[p] < high_y
        pixels[kept] = p
        kept += below_high and not below_low
    return kept


@kernel
def _covariance(summary: Summary) -> float:
    """Sum of products of deviations; NaN with under three pixels or a constant channel."""
    size, sx, sy, sxy, _, _, differ_x, differ_y = summary
    return sxy - sx * sy / size if size >= 3 and differ_x and differ_y else np.nan


@kernel
def _fractions(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    limit_x: float,
    limit_y: float,
    out: NDArray[np.float64],
) -> None:
    """Share of each channel's intensity above its limit that is above both; stays NaN if undefined.

    Undefined without intensity above a limit, or with fewer than three or constant pixels below.
    """
    together_x, together_y, above_x, above_y = 0.0, 0.0, 0.0, 0.0
    size, some_x, some_y, differ_x, differ_y = 0, 0.0, 0.0, False, False
    for p in range(x.shape[0]):
        a, b = x[p], y[p]
        if a < limit_x or b < limit_y:
            if size == 0:
                some_x, some_y = a, b
            differ_x |= a != some_x
            differ_y |= b != some_y
            size += 1
        elif a > limit_x and b > limit_y:
            together_x += a
            together_y += b
        if a >= limit_x:
            above_x += a
        if b >= limit_y:
            above_y += b
    if size >= 3 and differ_x and differ_y and above_x > 0.0 and above_y > 0.0:
        out[0] = together_x / above_x
        out[1] = together_y / above_y
