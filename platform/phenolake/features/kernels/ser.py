"""Spots, edges and ridges at the pixels of each object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def ser_means(
    plane: NDArray[np.float32],
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    scale: float,
) -> NDArray[np.float64]:
    """Mean strength of spot, hole, ridge, valley, saddle and edge over each object; (objects, 6).

    First and second derivatives are central differences, times the scale and its square, over the
    mean of the 3 x 3 pixels. Pixels whose mean is not above 0 are left out.
    """
    count = starts.shape[0] - 1
    height, width = plane.shape
    out = np.full((count, 6), np.nan)
    for k in range(count):
        spot, hole, ridge, valley, saddle, edge = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        size = 0
        for p in range(starts[k], starts[k + 1]):
            y, x = rows[p], cols[p]
            above, below = max(y - 1, 0), min(y + 1, height - 1)
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            a, b, c = plane[above, left], plane[above, x], plane[above, right]
            d, e, f = plane[y, left], plane[y, x], plane[y, right]
            g, h, i = plane[below, left], plane[below, x], plane[below, right]
            mean = (np.float64(a) + b + c + d + e + f + g + h + i) / 9.0
            if mean <= 0.0:
                continue
            size += 1
            dy, dx = (np.float64(h) - b) / 2, (np.float64(f) - d) / 2
            yy = np.float64(b) - 2.0 * e + h
            xx = np.float64(d) - 2.0 * e + f
            yx = (np.float64(a) - c - g + i) / 4
            middle, spread = (yy + xx) / 2, np.sqrt(((yy - xx) / 2) ** 2 + yx * yx)
            low, high = (middle - spread) / mean, (middle + spread) / mean
            if high <= 0.0:
                spot -= high
                ridge += high - low
            elif low >= 0.0:
                hole += low
                valley += high - low
            else:
                saddle += min(-low, high)
                ridge += max(-low - high, 0.0)
                valley += max(high + low, 0.0)
            edge += np.sqrt(dy * dy + dx * dx) / mean
        if size > 0:
            square = scale * scale / size
            out[k, 0], out[k, 1], out[k, 2] = spot * square, hole * square, ridge * square
            out[k, 3], out[k, 4], out[k, 5] = valley * square, saddle * square, edge * scale / size
    return out


@kernel
def relative_magnitudes(
    real: NDArray[np.float32],
    imaginary: NDArray[np.float32],
    envelope: NDArray[np.float32],
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Mean over each object of a complex response's size over the envelope, where that is above 0."""
    count = starts.shape[0] - 1
    out = np.full(count, np.nan)
    for k in range(count):
        total, size = 0.0, 0
        for p in range(starts[k], starts[k + 1]):
            y, x = rows[p], cols[p]
            if envelope[y, x] > 0.0:
                a, b = np.float64(real[y, x]), np.float64(imaginary[y, x])
                total += np.sqrt(a * a + b * b) / envelope[y, x]
                size += 1
        if size > 0:
            out[k] = total / size
    return out
