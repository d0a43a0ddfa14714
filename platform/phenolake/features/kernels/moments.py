"""Moments of each object's pixel positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def position_moments(
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    origins: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sums of (row - origin)**p * (col - origin)**q for p, q = 0..3; shape (objects, 4, 4)."""
    count = starts.shape[0] - 1
    out = np.zeros((count, 4, 4))
    for k in range(count):
        sums = out[k]
        for p in range(starts[k], starts[k + 1]):
            y, x = rows[p] - origins[k, 0], cols[p] - origins[k, 1]
            power = 1.0
            for i in range(4):
                sums[i, 0] += power
                sums[i, 1] += power * x
                sums[i, 2] += power * (x * x)
                sums[i, 3] += power * (x * x * x)
                power *= y
    return out
