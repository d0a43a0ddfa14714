"""Who lies near each object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel
from phenolake.features.kernels.pixels import AT_BORDER, DIFFERS_8


@kernel
def near_objects(
    labels: NDArray[np.int32],
    flags: NDArray[np.uint8],
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    distance: int,
) -> NDArray[np.float64]:
    """Neighbours within `distance` pixels and per cent of the outline that touches one; (objects, 2).

    The outline has an 8-neighbour elsewhere or lies on the image border. It touches what is up to
    half a pixel further than `distance`, at most `distance` along each axis.
    """
    count = starts.shape[0] - 1
    height, width = labels.shape
    reach = distance * distance
    touch = (distance + 0.5) * (distance + 0.5)
    seen = np.zeros(count + 1, np.int64)
    out = np.empty((count, 2))
    for k in range(count):
        label = k + 1
        outline, touching, neighbours = 0, 0, 0
        for p in range(starts[k], starts[k + 1]):
            y, x = rows[p], cols[p]
            if flags[y, x] & (DIFFERS_8 | AT_BORDER) == 0:
                continue
            outline += 1
            touches = False
            for v in range(max(y - distance, 0), min(y + distance + 1, height)):
                for u in range(max(x - distance, 0), min(x + distance + 1, width)):
                    other = labels[v, u]
                    if other == 0 or other == label:
                        continue
                    square = (v - y) * (v - y) + (u - x) * (u - x)
                    if square <= touch:
                        touches = True
                    if square <= reach and seen[other] != label:
                        seen[other] = label
                        neighbours += 1
            if touches:
                touching += 1
        out[k, 0] = neighbours
        out[k, 1] = 100.0 * touching / outline
    return out


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
