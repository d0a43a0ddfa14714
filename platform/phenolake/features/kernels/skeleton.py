"""What a skeleton looks like within each object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def skeleton_counts(
    skeleton: NDArray[np.bool_],
    labels: NDArray[np.int32],
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Branch ends, branch points and length of the skeleton in each object, shape (objects, 3).

    An end has one neighbour in the object, a branch point three or more. Neighbours meet at sides,
    or at corners where no side leads around. Steps are 1 or sqrt(2) long.
    """
    count = starts.shape[0] - 1
    height, width = labels.shape
    out = np.zeros((count, 3))
    for k in range(count):
        straight, slanted = 0, 0
        for p in range(starts[k], starts[k + 1]):
            y, x = rows[p], cols[p]
            if not skeleton[y, x]:
                continue
            sides, corners = 0, 0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    v, u = y + dy, x + dx
                    if (dy == 0 and dx == 0) or v < 0 or u < 0 or v >= height or u >= width:
                        continue
                    if labels[v, u] != k + 1 or not skeleton[v, u]:
                        continue
                    if dy == 0 or dx == 0:
                        sides += 1
                        continue
                    around = (skeleton[y, u] and labels[y, u] == k + 1) or (
                        skeleton[v, x] and labels[v, x] == k + 1
                    )
                    if not around:
                        corners += 1
            if sides + corners == 1:
                out[k, 0] += 1
            elif sides + corners > 2:
                out[k, 1] += 1
            straight += sides
            slanted += corners
        out[k, 2] = (straight + np.sqrt(2.0) * slanted) / 2
    return out
