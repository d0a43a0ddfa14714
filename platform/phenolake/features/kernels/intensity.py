"""Intensity statistics of each object in each channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel, summing_kernel


@kernel
def means(values: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean of each object in each channel, shape (objects, channels).

    Summed from the object's first pixel, so that a constant object has exactly its value.
    """
    channels = values.shape[0]
    count = starts.shape[0] - 1
    out = np.empty((count, channels))
    for c in range(channels):
        for k in range(count):
            here = values[c, starts[k] : starts[k + 1]]
            out[k, c] = here[0] + _sum_from(here, here[0]) / here.shape[0]
    return out


@summing_kernel
def _sum_from(values: NDArray[np.float64], origin: float) -> float:
    """Sum of the differences to the origin."""
    total = 0.0
    for p in range(values.shape[0]):
        total += values[p] - origin
    return total


@summing_kernel
def _sum_of_squares(values: NDArray[np.float64], origin: float) -> float:
    """Sum of the squared differences to the origin."""
    total = 0.0
    for p in range(values.shape[0]):
        total += (values[p] - origin) * (values[p] - origin)
    return total


@kernel
def intensity_statistics(
    values: NDArray[np.float64],
    ordered: NDArray[np.float64],
    centres: NDArray[np.float64],
    edge: NDArray[np.int64],
    edge_starts: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Nine statistics of all pixels and five of edge pixels, shape (objects, channels, 14).

    Sum, mean, standard deviation, smallest, largest; the same of the edge pixels; lower quartile,
    median, median absolute deviation, upper quartile. `edge` lists the edge pixels' places in the
    pixel list, object k's from `edge_starts[k]`.
    """
    channels = values.shape[0]
    count = starts.shape[0] - 1
    out = np.empty((count, channels, 14))
    for c in range(channels):
        for k in range(count):
            first, last = starts[k], starts[k + 1]
            size = last - first
            here = ordered[c, first:last]
            mean = centres[k, c]
            row = out[k, c]
            row[0] = _sum_from(values[c, first:last], 0.0)
            row[1] = mean
            row[2] = np.sqrt(_sum_of_squares(values[c, first:last], mean) / size)
            row[3] = here[0]
            row[4] = here[size - 1]
            _edge_statistics(values[c], edge[edge_starts[k] : edge_starts[k + 1]], row[5:10])
            row[10] = _quantile(here, 0.25)
            row[11] = _quantile(here, 0.5)
            row[12] = _median_deviation(here, row[11])
            row[13] = _quantile(here, 0.75)
    return out


@kernel
def _edge_statistics(
    values: NDArray[np.float64], edge: NDArray[np.int64], out: NDArray[np.float64]
) -> None:
    """Sum, mean, standard deviation, smallest and largest of the listed pixels; NaN without any."""
    size = edge.shape[0]
    if size == 0:
        out[:] = np.nan
        return
    origin = values[edge[0]]
    total, shifted, low, high = 0.0, 0.0, origin, origin
    for p in edge:
        value = values[p]
        total += value
        shifted += value - origin
        low = min(low, value)
        high = max(high, value)
    mean = origin + shifted / size
    squares = 0.0
    for p in edge:
        squares += (values[p] - mean) * (values[p] - mean)
    out[0], out[1], out[2], out[3], out[4] = total, mean, np.sqrt(squares / size), low, high


@kernel
def _quantile(ordered: NDArray[np.float64], fraction: float) -> float:
    """Value at place size * fraction (from 0) of sorted values, interpolated; the last at most."""
    size = ordered.shape[0]
    place = size * fraction
    low = min(int(place), size - 1)
    high = min(low + 1, size - 1)
    part = place - low
    return ordered[low] * (1.0 - part) + ordered[high] * part


@kernel
def _median_deviation(ordered: NDArray[np.float64], median: float) -> float:
    """Value at place size / 2 of the sorted distances to the median, interpolated."""
    size = ordered.shape[0]
    place = size * 0.5
    low = min(int(place), size - 1)
    part = place - low
    split = int(np.searchsorted(ordered, median))
    at_low = _nearest(ordered, median, split, low)
    at_high = _nearest(ordered, median, split, min(low + 1, size - 1))
    return at_low * (1.0 - part) + at_high * part


@kernel
def _nearest(ordered: NDArray[np.float64], median: float, split: int, rank: int) -> float:
    """Distance to the median of that rank (from 0); values from `split` on are not below it.

    Distances rise to either side of the split: a binary search finds how many of the rank + 1
    smallest lie below.
    """
    least, most = max(0, rank + 1 - (ordered.shape[0] - split)), min(split, rank + 1)
    while least < most:
        below = (least + most) // 2
        if median - ordered[split - 1 - below] < ordered[split + rank - below] - median:
            least = below + 1
        else:
            most = below
    above = rank + 1 - least
    distance = 0.0
    if least > 0:
        distance = median - ordered[split - least]
    if above > 0:
        distance = max(distance, ordered[split + above - 1] - median)
    return distance


@kernel
def intensity_positions(
    values: NDArray[np.float64],
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Positions weighted by intensity, shape (objects, channels, 5).

    Centre of mass x and y, brightest pixel x and y (the first in row order of equals), and the
    distance from the centre of mass to the centre. The first two and the last are NaN where the
    intensities sum to 0.
    """
    channels = values.shape[0]
    count = starts.shape[0] - 1
    out = np.empty((count, channels, 5))
    for k in range(count):
        first, last = starts[k], starts[k + 1]
        row0, col0 = rows[first], cols[first]
        sum_y, sum_x = np.int64(0), np.int64(0)
        for p in range(first, last):
            sum_y += rows[p] - row0
            sum_x += cols[p] - col0
        middle_y = sum_y / (last - first)
        middle_x = sum_x / (last - first)
        for c in range(channels):
            here = values[c, first:last]
            total, moment_y, moment_x = _moments(
                here, rows[first:last], cols[first:last], row0, col0
            )
            most, best = _largest(here), first
            while values[c, best] != most:
                best += 1
            y = moment_y / total if total != 0.0 else np.nan
            x = moment_x / total if total != 0.0 else np.nan
            out[k, c, 0] = x + col0
            out[k, c, 1] = y + row0
            out[k, c, 2] = cols[best]
            out[k, c, 3] = rows[best]
            out[k, c, 4] = np.sqrt(
                (y - middle_y) * (y - middle_y) + (x - middle_x) * (x - middle_x)
            )
    return out


@summing_kernel
def _moments(
    values: NDArray[np.float64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    row0: int,
    col0: int,
) -> tuple[float, float, float]:
    """Sums of the values and of their products with row and column."""
    total, moment_y, moment_x = 0.0, 0.0, 0.0
    for p in range(values.shape[0]):
        total += values[p]
        moment_y += values[p] * (rows[p] - row0)
        moment_x += values[p] * (cols[p] - col0)
    return total, moment_y, moment_x


@summing_kernel
def _largest(values: NDArray[np.float64]) -> float:
    largest = values[0]
    for p in range(values.shape[0]):
        largest = values[p] if values[p] > largest else largest
    return largest


@kernel
def contrast_and_variation(
    values: NDArray[np.float64], centres: NDArray[np.float64], starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Contrast and coefficient of variation in per cent, shape (objects, channels, 2)."""
    channels = values.shape[0]
    count = starts.shape[0] - 1
    out = np.empty((count, channels, 2))
    for c in range(channels):
        for k in range(count):
            mean, squares = centres[k, c], 0.0
            low, high = values[c, starts[k]], values[c, starts[k]]
            for p in range(starts[k], starts[k + 1]):
                value = values[c, p]
                low, high = min(low, value), max(high, value)
                squares += (value - mean) * (value - mean)
            spread = np.sqrt(squares / (starts[k + 1] - starts[k]))
            out[k, c, 0] = (high - low) / (high + low) if high + low != 0.0 else np.nan
            out[k, c, 1] = 100.0 * spread / mean if mean != 0.0 else np.nan
    return out
