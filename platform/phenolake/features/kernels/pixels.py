"""Pixel lists of objects, and which pixels lie on an edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel

#: Bits of `edge_flags`.
DIFFERS_4 = 1  # a 4-neighbour in the image belongs elsewhere
DIFFERS_8 = 2  # an 8-neighbour in the image belongs elsewhere
AT_BORDER = 4  # the pixel lies on the image border


@kernel
def renumber(labels: NDArray[np.int32], highest: int) -> NDArray[np.int32]:
    """Number the labels 1..n in their order, in place; returns the n old numbers."""
    height, width = labels.shape
    table = np.zeros(highest + 1, np.int32)
    for y in range(height):
        for x in range(width):
            table[labels[y, x]] = 1
    count = 0
    numbers = np.empty(highest, np.int32)
    for number in range(1, highest + 1):
        if table[number] > 0:
            numbers[count] = number
            count += 1
            table[number] = count
    table[0] = 0
    if count < highest:
        for y in range(height):
            for x in range(width):
                labels[y, x] = table[labels[y, x]]
    return numbers[:count].copy()


@kernel
def list_pixels(
    labels: NDArray[np.int32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Pixels of labels 1..count, by object and in row order within it.

    Returns `starts` (count + 1), `rows` and `cols` (pixels), `boxes` (count, 4): first row, first
    column, row and column past the last.
    """
    height, width = labels.shape
    starts = np.zeros(count + 1, np.int64)
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            if label > 0:
                starts[label] += 1
    for k in range(count):
        starts[k + 1] += starts[k]
    total = starts[count]
    rows = np.empty(total, np.int32)
    cols = np.empty(total, np.int32)
    boxes = np.empty((count, 4), np.int32)
    for k in range(count):
        boxes[k, 0], boxes[k, 1], boxes[k, 2], boxes[k, 3] = height, width, 0, 0
    cursor = starts[:count].copy()
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            if label > 0:
                k = label - 1
                rows[cursor[k]] = y
                cols[cursor[k]] = x
                cursor[k] += 1
                boxes[k, 0] = min(boxes[k, 0], y)
                boxes[k, 1] = min(boxes[k, 1], x)
                boxes[k, 2] = max(boxes[k, 2], y + 1)
                boxes[k, 3] = max(boxes[k, 3], x + 1)
    return starts, rows, cols, boxes


@kernel
def edge_flags(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """For every foreground pixel the bits DIFFERS_4, DIFFERS_8 and AT_BORDER; background is 0."""
    height, width = labels.shape
    flags = np.zeros((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            if label == 0:
                continue
            bits = 0
            if y == 0 or x == 0 or y == height - 1 or x == width - 1:
                bits = AT_BORDER
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        v, u = y + dy, x + dx
                        if 0 <= v < height and 0 <= u < width and labels[v, u] != label:
                            bits |= DIFFERS_8
                            if dy == 0 or dx == 0:
                                bits |= DIFFERS_4
            else:
                if (
                    labels[y - 1, x] != label
                    or labels[y, x - 1] != label
                    or labels[y, x + 1] != label
                    or labels[y + 1, x] != label
                ):
                    bits = DIFFERS_4 | DIFFERS_8
                elif (
                    labels[y - 1, x - 1] != label
                    or labels[y - 1, x + 1] != label
                    or labels[y + 1, x - 1] != label
                    or labels[y + 1, x + 1] != label
                ):
                    bits = DIFFERS_8
            flags[y, x] = bits
    return flags


@kernel
def flagged_pixels(
    flags: NDArray[np.uint8],
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    bits: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Listed pixels that have one of the bits, and where each object's begin among them."""
    count = starts.shape[0] - 1
    flagged_starts = np.zeros(count + 1, np.int64)
    room = 0
    for y in range(flags.shape[0]):
        for x in range(flags.shape[1]):
            room += (flags[y, x] & bits) != 0
    out = np.empty(room, np.int64)
    size = 0
    for k in range(count):
        for p in range(starts[k], starts[k + 1]):
            if flags[np.uint64(rows[p]), np.uint64(cols[p])] & bits:
                out[size] = p
                size += 1
        flagged_starts[k + 1] = size
    return out, flagged_starts


@kernel
def gather(
    image: NDArray[np.generic],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    scale: float,
    out: NDArray[np.float64],
) -> None:
    """Write the intensities of the listed pixels over the scale, shape (channels, pixels)."""
    channels, pixels = out.shape
    first = 0
    while first < pixels:
        # Neighbours along a row are read together.
        row, col, last = rows[first], cols[first], first + 1
        while last < pixels and rows[last] == row and cols[last] - col == last - first:
            last += 1
        for c in range(channels):
            line = image[c, row]
            for i in range(last - first):
                out[c, np.uint64(first + i)] = line[np.uint64(col + i)]
        first = last
    for c in range(channels):
        values = out[c]
        for p in range(pixels):
            values[p] /= scale
