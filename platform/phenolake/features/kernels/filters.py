"""Separable filters of a padded plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def filter_down(padded: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted sums over rows; the result is shorter by len(weights) - 1."""
    taps = weights.shape[0]
    height, width = padded.shape[0] - taps + 1, padded.shape[1]
    out = np.zeros((height, width), np.float32)
    for y in range(height):
        line = out[y]
        for k in range(taps):
            weight, source = weights[k], padded[y + k]
            for x in range(width):
                line[x] += weight * source[x]
    return out


@kernel
def filter_across(padded: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted sums over columns; the result is narrower by len(weights) - 1."""
    taps = weights.shape[0]
    height, width = padded.shape[0], padded.shape[1] - taps + 1
    out = np.zeros((height, width), np.float32)
    for y in range(height):
        line, source = out[y], padded[y]
        for k in range(taps):
            weight = weights[k]
            for x in range(width):
                line[x] += weight * source[x + k]
    return out
