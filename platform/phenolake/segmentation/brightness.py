"""Nuclear brightness on one scale: background 0, a typical nucleus 1, whatever the camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phenolake.segmentation.foreground import Plane, background_level
from phenolake.segmentation.thresholds import otsu

#: A nucleus is at least so many noise standard deviations above the background.
_FAINTEST = 8.0
#: Noise is at least this part of the brightest pixel: float32 rounding after filtering.
_ROUNDING = 1e-6
#: Pixels looked at; more would not change the levels.
_SAMPLE = 250_000


def normalize_brightness(plane: Plane) -> Plane:
    """Put a plane on the scale background 0, typical nucleus 1; float32 (y, x).

    The nuclear level is the median of the foreground, which a global threshold on the logarithm
    finds: a few bright pieces of debris don't move it, as they would a percentile of the field. A
    plane without contrast stays near 0, so that its noise isn't blown up to look like nuclei.

    Parameters
    ----------
    plane
        float32, shape (y, x), finite, any unit.
    """
    stride = max(1, int(np.sqrt(plane.size / _SAMPLE)))
    smooth = ndimage.uniform_filter(plane, 3)[::stride, ::stride]
    floor, noise = background_level(smooth)
    noise = max(noise, _ROUNDING * float(np.abs(plane).max(initial=0.0)))
    level = max(_typical_foreground(smooth - floor, noise), _FAINTEST * noise)
    if level <= 0:
        return np.zeros_like(plane)
    return ((plane - np.float32(floor)) / np.float32(level)).astype(np.float32, copy=False)


def _typical_foreground(values: NDArray[np.float32], noise: float) -> float:
    """Median of the pixels above a threshold on the logarithm."""
    top = float(values.max(initial=0.0))
    unit = max(noise, 1e-3 * top)
    if unit <= 0:
        return 0.0
    compressed = np.log1p(np.maximum(values, 0).ravel() / unit)
    bright = compressed > otsu(compressed)
    if not bright.any():
        return 0.0
    return float(np.expm1(np.median(compressed[bright])) * unit)
