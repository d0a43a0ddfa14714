"""Grey-level co-occurrence of each object, reduced to Haralick's thirteen features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def pair_positions(
    labels: NDArray[np.int32],
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    steps: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Place in the pixel list of the pixel one step on, -1 outside the object; (steps, pixels)."""
    height, width = labels.shape
    place = np.empty((height, width), np.int32)
    for p in range(rows.shape[0]):
        place[rows[p], cols[p]] = p
    out = np.empty((steps.shape[0], rows.shape[0]), np.int32)
    for d in range(steps.shape[0]):
        for k in range(starts.shape[0] - 1):
            for p in range(starts[k], starts[k + 1]):
                y, x = rows[p] + steps[d, 0], cols[p] + steps[d, 1]
                inside = 0 <= y < height and 0 <= x < width and labels[y, x] == k + 1
                out[d, p] = place[y, x] if inside else -1
    return out


@kernel
def haralick(
    levels: NDArray[np.uint8],
    starts: NDArray[np.int64],
    pairs: NDArray[np.int32],
    entropy_terms: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Haralick features per object, channel and direction, shape (objects, channels, 13, directions).

    Pairs with a level 0 are left out. An object without pairs in one direction is NaN in all.
    `entropy_terms[c]` is c * log2(c). Only cells of the matrix that occur are visited.
    """
    channels = levels.shape[0]
    directions = pairs.shape[0]
    count = starts.shape[0] - 1
    out = np.empty((count, channels, 13, directions))
    cells = np.zeros(256 * 256, np.int32)
    visited = np.empty(256 * 256, np.int32)
    single = np.empty(256, np.int64)
    summed = np.empty(512, np.int64)
    apart = np.empty(256, np.int64)
    for k in range(count):
        first, last = starts[k], starts[k + 1]
        for c in range(channels):
            here = levels[c]
            brightest = 0
            for p in range(first, last):
                brightest = max(brightest, here[p])
            for d in range(directions):
                there = pairs[d]
                occurring = 0
                total = 0
                for p in range(first, last):
                    q = there[p]
                    if q < 0:
                        continue
                    a, b = np.int64(here[p]), np.int64(here[q])
                    if a == 0 or b == 0:
                        continue
                    cell = (a << 8) | b if a < b else (b << 8) | a
                    if cells[cell] == 0:
                        visited[occurring] = cell
                        occurring += 1
                    cells[cell] += 1
                    total += 1
                if total == 0:
                    out[k, c, :, :] = np.nan
                    break
                single[: brightest + 1] = 0
                summed[: 2 * brightest + 1] = 0
                apart[: brightest + 1] = 0
                squares = 0.0
                terms = 0.0
                for i in range(occurring):
                    cell = visited[i]
                    n = np.int64(cells[cell])
                    cells[cell] = 0
                    a, b = cell >> 8, cell & 255
                    # The matrix counts each pair both ways: twice on the diagonal, else mirrored.
                    if a == b:
                        squares += np.float64(4 * n * n)
                        terms += _entropy_term(2 * n, entropy_terms)
                    else:
                        squares += np.float64(2 * n * n)
                        terms += 2.0 * _entropy_term(n, entropy_terms)
                    single[a] += n
                    single[b] += n
                    summed[a + b] += 2 * n
                    apart[b - a] += 2 * n
                _features(
                    out[k, c, :, d], 2 * total, brightest, squares, terms, occurring == 1,
                    single, summed, apart, entropy_terms,
                )  # fmt: skip
    return out


@kernel
def _entropy_term(n: int, entropy_terms: NDArray[np.float64]) -> float:
    """The value n * log2(n), from the table where it reaches."""
    return entropy_terms[n] if n < entropy_terms.shape[0] else n * np.log2(np.float64(n))


@kernel
def _features(
    out: NDArray[np.float64],
    total: int,
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
    mean = 0.0
    for a in range(brightest + 1):
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
