"""Counts and sums over the pixels of each object that need no intensity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel
from phenolake.features.kernels.pixels import AT_BORDER, DIFFERS_4


@kernel
def coordinate_sums(
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    boxes: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Per object the sums of y, x, yy, yx, xx from the middle of its box: exact, shape (objects, 5)."""
    count = starts.shape[0] - 1
    sums = np.empty((count, 5))
    for k in range(count):
        middle_row = (boxes[k, 0] + boxes[k, 2]) // 2
        middle_col = (boxes[k, 1] + boxes[k, 3]) // 2
        sy, sx, syy, syx, sxx = np.int64(0), np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        for p in range(starts[k], starts[k + 1]):
            y, x = np.int64(rows[p] - middle_row), np.int64(cols[p] - middle_col)
            sy += y
            sx += x
            syy += y * y
            syx += y * x
            sxx += x * x
        sums[k, 0], sums[k, 1], sums[k, 2], sums[k, 3], sums[k, 4] = sy, sx, syy, syx, sxx
    return sums


@kernel
def perimeters(
    labels: NDArray[np.int32],
    flags: NDArray[np.uint8],
    outline: NDArray[np.int64],
    outline_starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Length of each object's outline by the weights of Benkrid and Crookes.

    An outline pixel has a side to the outside. It counts 1, sqrt(2) or their mean, by how many
    outline pixels it meets at its sides and corners. `outline` lists them, and may hold others.
    """
    count = outline_starts.shape[0] - 1
    height, width = labels.shape
    border = DIFFERS_4 | AT_BORDER
    weights = np.zeros(50)
    for code in (5, 7, 15, 17, 25, 27):
        weights[code] = 1.0
    weights[21] = weights[33] = np.sqrt(2.0)
    weights[13] = weights[23] = (1 + np.sqrt(2.0)) / 2
    out = np.empty(count)
    tally = np.empty(50, np.int64)
    for k in range(count):
        tally[:] = 0
        for p in outline[outline_starts[k] : outline_starts[k + 1]]:
            y, x = rows[p], cols[p]
            if flags[y, x] & border == 0:
                continue
            code = 1
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    v, u = y + dy, x + dx
                    if (dy == 0 and dx == 0) or v < 0 or u < 0 or v >= height or u >= width:
                        continue
                    if labels[v, u] == k + 1 and flags[v, u] & border:
                        code += 2 if dy == 0 or dx == 0 else 10
            if code < 50:
                tally[code] += 1
        out[k] = np.sum(tally * weights)
    return out


@kernel
def euler_numbers(labels: NDArray[np.int32], boxes: NDArray[np.int32]) -> NDArray[np.float64]:
    """Parts minus holes of each object with 8-connected parts, from its 2 x 2 windows (Gray 1971)."""
    count = boxes.shape[0]
    height, width = labels.shape
    out = np.empty(count)
    for k in range(count):
        label = k + 1
        quarters = np.int64(0)
        for y in range(boxes[k, 0] - 1, boxes[k, 2]):
            a, c = 0, 0
            for x in range(boxes[k, 1] - 1, boxes[k, 3]):
                u = x + 1
                b = 1 if y >= 0 and u < width and labels[y, u] == label else 0
                d = 1 if y + 1 < height and u < width and labels[y + 1, u] == label else 0
                filled = a + b + c + d
                if filled == 1:
                    quarters += 1
                elif filled == 3:
                    quarters -= 1
                elif filled == 2 and a == d:
                    quarters -= 2
                a, c = b, d
        out[k] = quarters / 4
    return out


@kernel
def radius_statistics(
    starts: NDArray[np.int64], distances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Largest, mean and median distance to the edge per object, shape (objects, 3)."""
    count = starts.shape[0] - 1
    out = np.empty((count, 3))
    for k in range(count):
        inside = distances[starts[k] : starts[k + 1]]
        size = inside.shape[0]
        most, total = 0.0, 0.0
        for p in range(size):
            most = max(most, inside[p])
            total += inside[p]
        # Squared distances are whole numbers: they are counted and not sorted.
        tally = np.zeros(int(np.rint(most * most)) + 1, np.int64)
        for p in range(size):
            tally[np.uint64(np.rint(inside[p] * inside[p]))] += 1
        square, passed = 0, tally[0]
        while passed <= (size - 1) // 2:
            square += 1
            passed += tally[square]
        upper = square
        while passed <= size // 2:
            upper += 1
            passed += tally[upper]
        out[k, 0] = most
        out[k, 1] = total / size
        out[k, 2] = (np.sqrt(square) + np.sqrt(upper)) / 2
    return out


@kernel
def first_maxima(starts: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Position in the pixel list of each object's largest value; the first in row order of equals."""
    count = starts.shape[0] - 1
    out = np.empty(count, np.int64)
    for k in range(count):
        best = starts[k]
        for p in range(starts[k] + 1, starts[k + 1]):
            if values[p] > values[best]:
                best = p
        out[k] = best
    return out
