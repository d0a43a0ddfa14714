"""Grey-level co-occurrence of each object, reduced to Haralick's thirteen features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def grey_levels(values: NDArray[np.float64], most: int) -> NDArray[np.uint8]:
    """Intensities 0..1 as levels 0..most, rounded to the nearest, ties to even; others clipped."""
    out = np.empty(values.shape, np.uint8)
    for c in range(values.shape[0]):
        for p in range(values.shape[1]):
            out[c, p] = np.uint8(np.rint(min(max(values[c, p], 0.0), 1.0) * most))
    return out


@kernel
def pixel_pairs(
    labels: NDArray[np.int32],
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    steps: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Pairs of listed pixels one step apart in the same object.

    Returns the places of first and second pixel, each (steps, pixels), and `pair_starts` (steps,
    objects + 1): object k has pairs `pair_starts[d, k]` to `pair_starts[d, k + 1]` in direction d.
    """
    height, width = labels.shape
    objects = starts.shape[0] - 1
    place = np.empty((height, width), np.int32)
    for p in range(rows.shape[0]):
        place[rows[p], cols[p]] = p
    first = np.empty((steps.shape[0], rows.shape[0]), np.int32)
    second = np.empty((steps.shape[0], rows.shape[0]), np.int32)
    pair_starts = np.zeros((steps.shape[0], objects + 1), np.int64)
    for d in range(steps.shape[0]):
        size = 0
        for k in range(objects):
            for p in range(starts[k], starts[k + 1]):
                y, x = rows[p] + steps[d, 0], cols[p] + steps[d, 1]
                if 0 <= y < height and 0 <= x < width and labels[y, x] == k + 1:
                    first[d, size] = p
                    second[d, size] = place[y, x]
                    size += 1
            pair_starts[d, k + 1] = size
    return first, second, pair_starts


@kernel
def haralick(
    levels: NDArray[np.uint8],
    starts: NDArray[np.int64],
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    pair_starts: NDArray[np.int64],
    entropy_terms: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Haralick features per object, channel and direction; (objects, channels, 13, directions).

    Pairs with a level 0 are left out. An object without pairs in one direction is NaN in all.
    `entropy_terms[c]` is c * log2(c).
    """
    channels = levels.shape[0]
    directions = first.shape[0]
    count = starts.shape[0] - 1
    out = np.empty((count, channels, 13, directions))
    table = np.zeros(256 * 256, np.int32)
    visited = np.empty(256 * 256, np.int32)
    # Of the current matrix: its marginal, and the histograms of sum and of difference.
    single = np.empty(256, np.int64)
    summed = np.empty(512, np.int64)
    apart = np.empty(256, np.int64)
    for k in range(count):
        for c in range(channels):
            here = levels[c]
            low, high = 255, 0
            for p in range(starts[k], starts[k + 1]):
                low = min(low, here[p])
                high = max(high, here[p])
            low = max(low, 1)
            for d in range(directions):
                lo, hi = pair_starts[d, k], pair_starts[d, k + 1]
                single[: high + 1] = 0
                summed[: 2 * high + 1] = 0
                apart[: high + 1] = 0
                a, b = first[d, lo:hi], second[d, lo:hi]
                span = high - low + 1
                if span * span <= 2 * (hi - lo):
                    cells, squares, terms = _scan_all(
                        here, a, b, low, span, table, entropy_terms, single, summed, apart
                    )
                else:
                    cells, squares, terms = _scan_visited(
                        here, a, b, visited, table, entropy_terms, single, summed, apart
                    )
                if cells == 0:
                    out[k, c, :, :] = np.nan
                    break
                _features(
                    out[k, c, :, d], high, squares, terms, cells == 1,
                    single, summed, apart, entropy_terms,
                )  # fmt: skip
    return out


@kernel
def _scan_all(
    levels: NDArray[np.uint8],
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    low: int,
    span: int,
    table: NDArray[np.int32],
    entropy_terms: NDArray[np.float64],
    single: NDArray[np.int64],
    summed: NDArray[np.int64],
    apart: NDArray[np.int64],
) -> tuple[int, float, float]:
    """Count pairs in a matrix of the object's own levels and read all of it: few levels."""
    for i in range(first.shape[0]):
        a, b = np.int64(levels[first[i]]), np.int64(levels[second[i]])
        if a > 0 and b > 0:
            table[(a - low) * span + b - low] += 1
    cells, squares, terms = 0, 0.0, 0.0
    for i in range(span):
        for j in range(i, span):
            n = np.int64(table[i * span + j])
            table[i * span + j] = 0
            if j > i:
                n += table[j * span + i]
                table[j * span + i] = 0
            if n > 0:
                weight, size = _enter(low + i, low + j, int(n), single, summed, apart)
                cells += weight
                squares += weight * np.float64(size) * size
                terms += weight * _entropy_term(size, entropy_terms)
    return cells, squares, terms


@kernel
def _scan_visited(
    levels: NDArray[np.uint8],
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    visited: NDArray[np.int32],
    table: NDArray[np.int32],
    entropy_terms: NDArray[np.float64],
    single: NDArray[np.int64],
    summed: NDArray[np.int64],
    apart: NDArray[np.int64],
) -> tuple[int, float, float]:
    """Count pairs in a matrix of all levels and read only the cells that occur: many levels."""
    size = 0
    for i in range(first.shape[0]):
        a, b = np.int64(levels[first[i]]), np.int64(levels[second[i]])
        if a > 0 and b > 0:
            cell = (a << 8) | b if a < b else (b << 8) | a
            if table[cell] == 0:
                visited[size] = cell
                size += 1
            table[cell] += 1
    cells, squares, terms = 0, 0.0, 0.0
    for i in range(size):
        cell = visited[i]
        n = np.int64(table[cell])
        table[cell] = 0
        weight, size_of = _enter(cell >> 8, cell & 255, int(n), single, summed, apart)
        cells += weight
        squares += weight * np.float64(size_of) * size_of
        terms += weight * _entropy_term(size_of, entropy_terms)
    return cells, squares, terms


@kernel
def _enter(
    a: int,
    b: int,
    n: int,
    single: NDArray[np.int64],
    summed: NDArray[np.int64],
    apart: NDArray[np.int64],
) -> tuple[int, int]:
    """Enter n pairs of levels a <= b into the histograms; returns how many cells, of what count.

    The matrix counts each pair both ways: twice in a cell of the diagonal, else in two cells.
    """
    single[a] += n
    single[b] += n
    summed[a + b] += 2 * n
    apart[b - a] += 2 * n
    return (1, 2 * n) if a == b else (2, n)


@kernel
def _entropy_term(n: int, entropy_terms: NDArray[np.float64]) -> float:
    """The value n * log2(n), from the table where it reaches."""
    return entropy_terms[n] if n < entropy_terms.shape[0] else n * np.log2(np.float64(n))


@kernel
def _features(
    out: NDArray[np.float64],
    brightest: int,
    squares: float,
    terms: float,
    one_cell: bool,
    single: NDArray[np.int64],
    summed: NDArray[np.int64],
    apart: NDArray[np.int64],
    entropy_terms: NDArray[np.float64],
) -> None:
    """Fill in the thirteen features from the matrix' sums and its three histograms.

    The matrix is symmetric: both marginals are `single`, the covariance is the variance minus half
    the contrast, and both cross entropies are twice the marginal's entropy.
    """
    total, mean = np.int64(0), 0.0
    for a in range(brightest + 1):
        total += single[a]
        mean += a * np.float64(single[a])
    mean /= total
    variance, terms_single = 0.0, 0.0
    for a in range(brightest + 1):
        if single[a] > 0:
            variance += (a - mean) * (a - mean) * single[a]
            terms_single += _entropy_term(single[a], entropy_terms)
    variance /= total
    contrast, inverse, terms_apart, spread = 0.0, 0.0, 0.0, 0.0
    levels = brightest + 1
    for a in range(levels):
        share = apart[a] / total
        spread += (share - 1.0 / levels) * (share - 1.0 / levels)
        if apart[a] > 0:
            contrast += a * a * share
            inverse += share / (1.0 + a * a)
            terms_apart += _entropy_term(apart[a], entropy_terms)
    sum_variance, terms_summed = 0.0, 0.0
    for s in range(2 * brightest + 1):
        if summed[s] > 0:
            sum_variance += (s - 2.0 * mean) * (s - 2.0 * mean) * summed[s]
            terms_summed += _entropy_term(summed[s], entropy_terms)
    bits = np.log2(np.float64(total))
    entropy = 0.0 if one_cell else bits - terms / total
    entropy_single = 0.0 if one_cell else bits - terms_single / total
    out[0] = squares / (np.float64(total) * total)
    out[1] = contrast
    out[2] = 1.0 - contrast / (2.0 * variance) if variance > 0.0 else 1.0
    out[3] = variance
    out[4] = inverse
    out[5] = 2.0 * mean
    out[6] = sum_variance / total
    out[7] = 0.0 if one_cell else bits - terms_summed / total
    out[8] = entropy
    out[9] = spread / levels
    out[10] = 0.0 if one_cell else bits - terms_apart / total
    information = 2.0 * entropy_single - entropy
    out[11] = -information / entropy_single if entropy_single > 0.0 else 0.0
    out[12] = np.sqrt(max(0.0, 1.0 - np.exp(-2.0 * information)))
