"""Grey-level co-occurrence of each object, reduced to Haralick's thirteen features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel, summing_kernel

#: Columns of a co-occurrence matrix that are read together; rows hold a whole number of them.
_BLOCK = 32
_MOST_STRIDE = 256 + _BLOCK
Histogram = NDArray[np.int32]


@kernel
def grey_levels(values: NDArray[np.float64], most: int) -> NDArray[np.uint8]:
    """Intensities 0..1 as levels 0..most, rounded to the nearest, ties to even; others clipped."""
    out = np.empty(values.shape, np.uint8)
    for c in range(values.shape[0]):
        for p in range(values.shape[1]):
            out[c, p] = np.uint8(np.rint(min(max(values[c, p], 0.0), 1.0) * most))
    return out


@kernel
def crop_places(
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    boxes: NDArray[np.int32],
    scale: int,
    steps: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Place of each listed pixel in its object's flattened crop, and the steps there.

    A crop is the bounding box with `scale` columns of nothing beside it, so that a step past the
    side of the object ends there; every crop is followed by nothing. `steps` are (y, x) and become
    (objects, steps).
    """
    count = starts.shape[0] - 1
    places = np.empty(rows.shape[0], np.int32)
    offsets = np.empty((count, steps.shape[0]), np.int64)
    for k in range(count):
        width = boxes[k, 3] - boxes[k, 1] + scale
        for d in range(steps.shape[0]):
            offsets[k, d] = steps[d, 0] * width + steps[d, 1]
        for p in range(starts[k], starts[k + 1]):
            places[p] = (rows[p] - boxes[k, 0]) * width + cols[p] - boxes[k, 1]
    return places, offsets


@kernel
def haralick(
    levels: NDArray[np.uint8],
    starts: NDArray[np.int64],
    places: NDArray[np.int32],
    offsets: NDArray[np.int64],
    entropy_terms: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Haralick features per object, channel and direction; (objects, channels, 13, directions).

    `places` are those of the pixels in the crop of their object and `offsets` (objects,
    directions) lead from the first to the second pixel of a pair there, never below 0. Pairs with
    a level 0 are left out, and so are those that leave the object: the crop is 0 there. An object
    without pairs in one direction is NaN in all. `entropy_terms[c]` is c * log2(c) for every count
    of an object's pairs.
    """
    channels = levels.shape[0]
    directions = offsets.shape[1]
    count = starts.shape[0] - 1
    out = np.empty((count, channels, 13, directions))
    largest = 0
    for k in range(count):
        largest = max(largest, places[starts[k + 1] - 1] + np.max(offsets[k]))
    crop = np.zeros(largest + 1, np.uint8)
    table = np.zeros(256 * _MOST_STRIDE, np.int32)
    visited = np.empty(256 * 256, np.int32)
    # Of the current matrix: its marginal, and the histograms of sum and of difference.
    single = np.empty(_MOST_STRIDE, np.int32)
    summed = np.empty(2 * _MOST_STRIDE, np.int32)
    apart = np.empty(_BLOCK + _MOST_STRIDE, np.int32)
    histograms = single, summed, apart
    for k in range(count):
        here = places[starts[k] : starts[k + 1]]
        for c in range(channels):
            low, high = _enter_levels(levels[c, starts[k] : starts[k + 1]], here, crop)
            span = high - low + 1
            # Reading a whole matrix is quick, but not if it is much larger than the object.
            stride = (span // _BLOCK + 1) * _BLOCK
            dense = (span + 1) * stride <= 16 * here.shape[0] and span < 256
            for d in range(directions):
                single[:stride] = 0
                summed[: 2 * stride] = 0
                apart[: _BLOCK + stride] = 0
                if dense:
                    cells, squares, terms = _scan_all(
                        crop, here, offsets[k, d], span, stride, table, entropy_terms, histograms
                    )
                else:
                    cells, squares, terms = _scan_visited(
                        crop, here, offsets[k, d], visited, table, entropy_terms, histograms
                    )
                if cells == 0:
                    out[k, c, :, :] = np.nan
                    break
                _features(
                    out[k, c, :, d], low, high, squares, terms, cells == 1, histograms,
                    entropy_terms,
                )  # fmt: skip
        for p in range(here.shape[0]):
            crop[here[p]] = 0
    return out


@kernel
def _enter_levels(
    levels: NDArray[np.uint8], places: NDArray[np.int32], crop: NDArray[np.uint8]
) -> tuple[int, int]:
    """Write levels into the crop, the lowest above 0 as 1; returns the lowest and the highest."""
    low, high = np.uint8(255), np.uint8(1)
    for p in range(levels.shape[0]):
        # A level 0 wraps round to the highest.
        low = min(low, np.uint8(levels[p] - np.uint8(1)))
        high = max(high, levels[p])
    lowest = min(np.int64(low) + 1, np.int64(high))
    for p in range(levels.shape[0]):
        level = np.int64(levels[p])
        crop[places[p]] = level - lowest + 1 if level > 0 else 0
    return int(lowest), int(high)


@kernel
def _scan_all(
    crop: NDArray[np.uint8],
    places: NDArray[np.int32],
    offset: int,
    span: int,
    stride: int,
    table: NDArray[np.int32],
    entropy_terms: NDArray[np.float64],
    histograms: tuple[Histogram, Histogram, Histogram],
) -> tuple[int, float, float]:
    """Count pairs in a matrix of the object's own levels and read all of it: few levels.

    Row 0 takes the pairs that don't count. Returns how many cells are not 0, and the sums of n * n
    and n * log2(n) over the cells.
    """
    for place in places:
        # Unsigned numbers spare the test for places counted from the end.
        a = np.uint64(crop[np.uint64(place)])
        b = np.uint64(crop[np.uint64(place + offset)])
        # The matrix is symmetric: what lies left of the diagonal is counted right of it.
        table[min(a, b) * np.uint64(stride) + max(a, b)] += np.int32(1)
    single, summed, apart = histograms
    found = _read_matrix(table, span, stride, entropy_terms, single, summed, apart)
    table[: (span + 1) * stride] = 0
    return found


@summing_kernel
def _read_matrix(
    table: NDArray[np.int32],
    span: int,
    stride: int,
    entropy_terms: NDArray[np.float64],
    single: Histogram,
    summed: Histogram,
    apart: Histogram,
) -> tuple[int, float, float]:
    """Enter a matrix of which the right half was counted into the histograms; see `_scan_all`.

    Each count right of the diagonal stands for two cells, one on it for twice its number.
    """
    cells, squares, terms = np.int64(0), np.int64(0), 0.0
    for i in range(1, span + 1):
        total = 0
        for block in range(i // _BLOCK * _BLOCK, stride, _BLOCK):
            row, col = np.uint64(i * stride + block), np.uint64(block)
            both, between = np.uint64(i + block), np.uint64(_BLOCK + block - i)
            # A loop of known length runs in vector registers.
            for j in range(_BLOCK):
                lane = np.uint64(j)
                n = table[row + lane]
                total += n
                squares += 2 * np.int64(n) * np.int64(n)
                cells += 2 * (n > 0)
                single[col + lane] += n
                summed[both + lane] += 2 * n
                apart[between + lane] += 2 * n
        single[i] += total
        on = np.int64(table[i * stride + i])
        squares += 2 * on * on
        cells -= on > 0
        terms += entropy_terms[2 * on] - 2.0 * entropy_terms[on]
    for i in range(1, span + 1):
        for place in range(i * stride + i // _BLOCK * _BLOCK, (i + 1) * stride):
            terms += 2.0 * entropy_terms[np.uint32(table[np.uint64(place)])]
    return int(cells), float(squares), terms


@kernel
def _scan_visited(
    crop: NDArray[np.uint8],
    places: NDArray[np.int32],
    offset: int,
    visited: NDArray[np.int32],
    table: NDArray[np.int32],
    entropy_terms: NDArray[np.float64],
    histograms: tuple[Histogram, Histogram, Histogram],
) -> tuple[int, float, float]:
    """The same, but only the cells that occur are read: many levels."""
    size = 0
    for place in places:
        a = np.uint64(crop[np.uint64(place)])
        b = np.uint64(crop[np.uint64(place + offset)])
        if a > 0 and b > 0:
            cell = (min(a, b) << np.uint64(8)) | max(a, b)
            if table[cell] == 0:
                visited[size] = cell
                size += 1
            table[cell] += np.int32(1)
    cells, squares, terms = 0, 0.0, 0.0
    single, summed, apart = histograms
    for i in range(size):
        cell = visited[i]
        n = table[cell]
        table[cell] = 0
        a, b = cell >> 8, cell & 255
        single[a] += n
        single[b] += n
        summed[a + b] += 2 * n
        apart[_BLOCK + b - a] += 2 * n
        weight, size_of = (1, 2 * n) if a == b else (2, n)
        cells += weight
        squares += weight * np.float64(size_of) * size_of
        terms += weight * entropy_terms[size_of]
    return cells, squares, terms


@kernel
def _features(
    out: NDArray[np.float64],
    low: int,
    high: int,
    squares: float,
    terms: float,
    one_cell: bool,
    histograms: tuple[Histogram, Histogram, Histogram],
    entropy_terms: NDArray[np.float64],
) -> None:
    """Fill in the thirteen features from the matrix' sums and its three histograms.

    The histograms count levels from `low` - 1. The matrix is symmetric: both marginals are
    `single`, the covariance is the variance minus half the contrast, and both cross entropies are
    twice the marginal's entropy.
    """
    single, summed, apart = histograms
    span, levels = high - low + 1, high + 1
    total, mean = np.int64(0), 0.0
    for a in range(1, span + 1):
        total += single[a]
        mean += a * np.float64(single[a])
    mean /= total
    variance, terms_single = 0.0, 0.0
    for a in range(1, span + 1):
        variance += (a - mean) * (a - mean) * single[a]
        terms_single += entropy_terms[single[a]]
    variance /= total
    contrast, inverse, terms_apart, spread = 0.0, 0.0, 0.0, 0.0
    for a in range(span):
        share = apart[_BLOCK + a] / total
        spread += (share - 1.0 / levels) * (share - 1.0 / levels)
        contrast += a * a * share
        inverse += share / (1.0 + a * a)
        terms_apart += entropy_terms[apart[_BLOCK + a]]
    # Differences that the object's levels do not allow have a share of 0.
    spread += (levels - span) / (1.0 * levels * levels)
    sum_variance, terms_summed = 0.0, 0.0
    for s in range(2, 2 * span + 1):
        sum_variance += (s - 2.0 * mean) * (s - 2.0 * mean) * summed[s]
        terms_summed += entropy_terms[summed[s]]
    bits = np.log2(np.float64(total))
    entropy = 0.0 if one_cell else bits - terms / total
    entropy_single = 0.0 if one_cell else bits - terms_single / total
    out[0] = squares / (np.float64(total) * total)
    out[1] = contrast
    out[2] = 1.0 - contrast / (2.0 * variance) if variance > 0.0 else 1.0
    out[3] = variance
    out[4] = inverse
    out[5] = 2.0 * (mean + low - 1)
    out[6] = sum_variance / total
    out[7] = 0.0 if one_cell else bits - terms_summed / total
    out[8] = entropy
    out[9] = spread / levels
    out[10] = 0.0 if one_cell else bits - terms_apart / total
    information = 2.0 * entropy_single - entropy
    out[11] = -information / entropy_single if entropy_single > 0.0 else 0.0
    out[12] = np.sqrt(max(0.0, 1.0 - np.exp(-2.0 * information)))
