"""Places of voxels in the crops of their objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def crop_places(
    starts: NDArray[np.int64],
    coordinates: NDArray[np.int64],
    boxes: NDArray[np.int64],
    scale: int,
    steps: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Place of each voxel in its object's flattened crop, and the steps there, as `texture`'s.

    The crop has `scale` columns and rows of nothing; `steps` are (z, y, x).
    """
    count = starts.shape[0] - 1
    places = np.empty(coordinates.shape[1], np.int32)
    offsets = np.empty((count, steps.shape[0]), np.int64)
    for k in range(count):
        width = boxes[k, 5] - boxes[k, 2] + scale
        plane = width * (boxes[k, 4] - boxes[k, 1] + scale)
        for d in range(steps.shape[0]):
            offsets[k, d] = steps[d, 0] * plane + steps[d, 1] * width + steps[d, 2]
        for p in range(starts[k], starts[k + 1]):
            z = coordinates[0, p] - boxes[k, 0]
            y = coordinates[1, p] - boxes[k, 1]
            places[p] = z * plane + y * width + coordinates[2, p] - boxes[k, 2]
    return places, offsets
