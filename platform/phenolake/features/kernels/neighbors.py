"""Who lies near each object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel

#: Side of the squares in which a neighbour is looked for first.
_TILE = 8


@kernel
def near_objects(
    labels: NDArray[np.int32],
    outline: NDArray[np.int64],
    outline_starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    distance: int,
) -> NDArray[np.float64]:
    """Neighbours within `distance` pixels and per cent of the outline that touches one; (objects, 2).

    `outline` lists the pixels that have an 8-neighbour elsewhere or lie on the image border. One
    touches what is up to half a pixel further than `distance`, at most `distance` along each axis.
    """
    count = outline_starts.shape[0] - 1
    height, width = labels.shape
    reach = distance * distance
    touch = (distance + 0.5) * (distance + 0.5)
    halves = np.empty(2 * distance + 1, np.int64)
    for i in range(halves.shape[0]):
        halves[i] = min(distance, int(np.sqrt(touch - (i - distance) * (i - distance))))
    lowest, highest = _tiles(labels)
    seen = np.zeros(count + 1, np.int64)
    out = np.empty((count, 2))
    for k in range(count):
        label = k + 1
        touching, neighbours = 0, 0
        for p in outline[outline_starts[k] : outline_starts[k + 1]]:
            y, x = rows[p], cols[p]
            top, bottom = max(y - distance, 0), min(y + distance, height - 1)
            left, right = max(x - distance, 0), min(x + distance, width - 1)
            alone = True
            for i in range(top // _TILE, bottom // _TILE + 1):
                for j in range(left // _TILE, right // _TILE + 1):
                    alone &= lowest[i, j] >= label and highest[i, j] <= label
            if alone:
                continue
            touches = False
            for v in range(top, bottom + 1):
                half = halves[v - y + distance]
                line = labels[v]
                for u in range(max(x - half, 0), min(x + half, width - 1) + 1):
                    other = line[np.uint64(u)]
                    if other != label and other != 0:
                        touches = True
                        square = (v - y) * (v - y) + (u - x) * (u - x)
                        if square <= reach and seen[other] != label:
                            seen[other] = label
                            neighbours += 1
            touching += touches
        out[k, 0] = neighbours
        out[k, 1] = 100.0 * touching / (outline_starts[k + 1] - outline_starts[k])
    return out


@kernel
def _tiles(labels: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Lowest and highest label in each tile of the image; without any, a high and a low number."""
    height, width = labels.shape
    shape = (height + _TILE - 1) // _TILE, (width + _TILE - 1) // _TILE
    none = np.int32(2**31 - 1)
    lowest = np.full(shape, none, np.int32)
    highest = np.zeros(shape, np.int32)
    low, high = np.empty(width, np.int32), np.empty(width, np.int32)
    for i in range(shape[0]):
        low[:] = none
        high[:] = 0
        for y in range(i * _TILE, min(i * _TILE + _TILE, height)):
            line = labels[y]
            for x in range(width):
                low[x] = min(low[x], line[x] if line[x] > 0 else none)
                high[x] = max(high[x], line[x])
        for x in range(width):
            lowest[i, x // _TILE] = min(lowest[i, x // _TILE], low[x])
            highest[i, x // _TILE] = max(highest[i, x // _TILE], high[x])
    return lowest, highest


@kernel
def nearest_two(centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places of the nearest and second nearest other centre, -1 where there is none; (objects, 2)."""
    count = centres.shape[0]
    out = np.full((count, 2), -1, np.int64)
    for k in range(count):
        near, second = np.inf, np.inf
        for other in range(count):
            if other == k:
                continue
            dy, dx = centres[other, 0] - centres[k, 0], centres[other, 1] - centres[k, 1]
            square = dy * dy + dx * dx
            if square < near:
                second, out[k, 1] = near, out[k, 0]
                near, out[k, 0] = square, other
            elif square < second:
                second, out[k, 1] = square, other
    return out
