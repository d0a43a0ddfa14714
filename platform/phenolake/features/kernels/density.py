"""How many centres lie around each centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def centres_around(
    centres: NDArray[np.float64], height: int, width: int, radius: int
) -> NDArray[np.float64]:
    """Other centres within the radius over the pixels of that disk inside the image; (objects,)."""
    count = centres.shape[0]
    out = np.empty(count)
    for k in range(count):
        y, x = centres[k, 0], centres[k, 1]
        inside = 0
        for v in range(max(int(np.ceil(y - radius)), 0), min(int(y + radius) + 1, height)):
            half = np.sqrt(max(radius * radius - (v - y) * (v - y), 0.0))
            first, last = max(int(np.ceil(x - half)), 0), min(int(np.floor(x + half)), width - 1)
            inside += max(last - first + 1, 0)
        others = 0
        for other in range(count):
            dy, dx = centres[other, 0] - y, centres[other, 1] - x
            if other != k and dy * dy + dx * dx <= radius * radius:
                others += 1
        out[k] = others / inside if inside > 0 else np.nan
    return out


@kernel
def mean_distance_to_nearest(centres: NDArray[np.float64], nearest: int) -> NDArray[np.float64]:
    """Mean distance to the so many closest other centres, NaN with fewer; (objects,)."""
    count = centres.shape[0]
    out = np.full(count, np.nan)
    if count <= nearest:
        return out
    closest = np.empty(nearest)
    for k in range(count):
        closest[:] = np.inf
        for other in range(count):
            if other == k:
                continue
            distance = np.hypot(
                centres[other, 0] - centres[k, 0], centres[other, 1] - centres[k, 1]
            )
            if distance < closest[nearest - 1]:
                at = nearest - 1
                while at > 0 and closest[at - 1] > distance:
                    closest[at] = closest[at - 1]
                    at -= 1
                closest[at] = distance
        out[k] = np.sum(closest) / nearest
    return out
