"""Compiled loops of the flow decoder: gather pixels by where their walks end, fill holes."""

from __future__ import annotations

import numba
import numpy as np

#: A bin of the end-point histogram is a seed above this many pixels ...
SEED_PIXELS = 10
#: ... if no bin within this distance along an axis holds more.
SEED_REACH = 2
#: A seed's catchment grows this many bins, through bins with more pixels than `CATCH_PIXELS`.
CATCH_REACH = 5
CATCH_PIXELS = 2


@numba.njit(cache=True, nogil=True, error_model="numpy")
def gather_ends(pixels, ends, rows, columns):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Labels int32 (rows, columns) of the pixels whose walks end at one seed, and how many.

    Where catchments of two seeds overlap, the seed with more pixels wins, of equals the later one.
    """
    reach = CATCH_REACH
    counts = np.zeros((rows + 2 * reach, columns + 2 * reach), np.int32)
    for end in ends:
        counts[end // columns + reach, end % columns + reach] += 1
    seeds = _seeds(counts, reach)
    heights = np.empty(seeds.size, np.int32)
    for number in range(seeds.size):
        heights[number] = counts.ravel()[seeds[number]]
    # Stable order: equal seeds stay in raster order.
    seeds = seeds[np.argsort(heights, kind="mergesort")]
    owner = np.zeros(counts.shape, np.int32)
    width = 2 * reach + 1
    for number in range(seeds.size):
        top = seeds[number] // counts.shape[1] - reach
        left = seeds[number] % counts.shape[1] - reach
        caught = np.zeros((width, width), np.bool_)
        caught[reach, reach] = True
        for ring in range(1, reach + 1):
            before = caught.copy()
            for r in range(reach - ring, reach + ring + 1):
                for c in range(reach - ring, reach + ring + 1):
                    if caught[r, c] or counts[top + r, left + c] <= CATCH_PIXELS:
                        continue
                    for near_r in range(max(r - 1, 0), min(r + 2, width)):
                        for near_c in range(max(c - 1, 0), min(c + 2, width)):
                            if before[near_r, near_c]:
                                caught[r, c] = True
        for r in range(width):
            for c in range(width):
                if caught[r, c]:
                    owner[top + r, left + c] = number + 1
    labels = np.zeros((rows, columns), np.int32)
    flat = labels.ravel()
    for index in range(pixels.size):
        end = ends[index]
        flat[pixels[index]] = owner[end // columns + reach, end % columns + reach]
    return labels, seeds.size


@numba.njit(cache=True, nogil=True)
def _seeds(counts, rim):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    rows, columns = counts.shape
    found = []
    for row in range(rim, rows - rim):
        for column in range(rim, columns - rim):
            here = counts[row, column]
            if here <= SEED_PIXELS:
                continue
            highest = True
            for r in range(row - SEED_REACH, row + SEED_REACH + 1):
                for c in range(column - SEED_REACH, column + SEED_REACH + 1):
                    highest = highest and counts[r, c] <= here
            if highest:
                found.append(row * columns + column)
    return np.array(found, np.int64) if len(found) > 0 else np.zeros(0, np.int64)


@numba.njit(cache=True, nogil=True)
def bounding_boxes(labels, count):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """First row, last row, first column and last column of each label, int64 (count + 1, 4).

    Labels that are absent have a last row of -1.
    """
    rows, columns = labels.shape
    boxes = np.empty((count + 1, 4), np.int64)
    boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = rows, -1, columns, -1
    for row in range(rows):
        for column in range(columns):
            label = labels[row, column]
            if label > 0:
                boxes[label, 0] = min(boxes[label, 0], row)
                boxes[label, 1] = row
                boxes[label, 2] = min(boxes[label, 2], column)
                boxes[label, 3] = max(boxes[label, 3], column)
    return boxes


@numba.njit(cache=True, nogil=True)
def fill_object_holes(labels, count):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Labels with the holes of every object filled, what lies in them included.

    A hole is a 4-connected region without the object's label that the object keeps from the edge
    of its bounding box. Of objects that enclose a pixel the largest, once filled, gets it.
    """
    boxes = bounding_boxes(labels, count)
    filled = labels.copy()
    holder = np.zeros(count + 1, np.int64)
    for label in range(1, count + 1):
        top, bottom, left, right = boxes[label]
        if bottom < 0:
            continue
        height, width = bottom - top + 3, right - left + 3
        inside = np.ones((height, width), np.bool_)
        stack = np.empty(height * width, np.int64)
        stack[0] = 0
        inside[0, 0] = False
        waiting = 1
        outside = 1
        while waiting > 0:
            waiting -= 1
            row, column = stack[waiting] // width, stack[waiting] % width
            for move in range(4):
                r = row + (move == 0) - (move == 1)
                c = column + (move == 2) - (move == 3)
                if r < 0 or c < 0 or r >= height or c >= width or not inside[r, c]:
                    continue
                rim = r == 0 or c == 0 or r == height - 1 or c == width - 1
                if rim or labels[top + r - 1, left + c - 1] != label:
                    inside[r, c] = False
                    outside += 1
                    stack[waiting] = r * width + c
                    waiting += 1
        holder[label] = height * width - outside
        for r in range(1, height - 1):
            for c in range(1, width - 1):
                row, column = top + r - 1, left + c - 1
                if inside[r, c] and labels[row, column] != label:
                    now = filled[row, column]
                    own = now == labels[row, column]
                    if own or holder[label] >= holder[now]:
                        filled[row, column] = label
    return filled
