"""Pairs of voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def voxel_pairs(
    labels: NDArray[np.int32],
    starts: NDArray[np.int64],
    coordinates: NDArray[np.int64],
    steps: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Pairs of listed voxels one step apart in the same object; as `texture.pixel_pairs`."""
    depth, height, width = labels.shape
    voxels = coordinates.shape[1]
    count = starts.shape[0] - 1
    place = np.empty((depth, height, width), np.int32)
    for p in range(voxels):
        place[coordinates[0, p], coordinates[1, p], coordinates[2, p]] = p
    first = np.empty((steps.shape[0], voxels), np.int32)
    second = np.empty((steps.shape[0], voxels), np.int32)
    pair_starts = np.zeros((steps.shape[0], count + 1), np.int64)
    for d in range(steps.shape[0]):
        size = 0
        for k in range(count):
            for p in range(starts[k], starts[k + 1]):
                z = coordinates[0, p] + steps[d, 0]
                y = coordinates[1, p] + steps[d, 1]
                x = coordinates[2, p] + steps[d, 2]
                if z < 0 or y < 0 or x < 0 or z >= depth or y >= height or x >= width:
                    continue
                if labels[z, y, x] == k + 1:
                    first[d, size] = p
                    second[d, size] = place[z, y, x]
                    size += 1
            pair_starts[d, k + 1] = size
    return first, second, pair_starts
