"""Gaussian smoothing and Gabor responses of one channel, mirrored at the image border."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Gaussians end at so many standard deviations.
_REACH = 3.0
#: Standard deviation of a Gabor filter's envelope in wavelengths: a bandwidth of one octave.
_ENVELOPE = 0.56


def smoothed(plane: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """The plane (y, x) under a Gaussian of that standard deviation in pixels; 0 leaves it as it is."""
    from phenolake.features.kernels.filters import filter_across, filter_down

    if sigma == 0:
        return plane
    radius = int(np.ceil(_REACH * sigma))
    bell = _bell(sigma, radius)
    return filter_across(filter_down(_padded(plane, radius), bell), bell)


def gabor_responses(
    plane: NDArray[np.float32], wavelength: float
) -> tuple[NDArray[np.float32], list[tuple[NDArray[np.float32], NDArray[np.float32]]]]:
    """The plane under the envelope, and real and imaginary response to waves of four directions.

    Waves run along x, then turned by 45, 90 and 135 degrees (x to y). A constant has no response.
    """
    from phenolake.features.kernels.filters import filter_across, filter_down

    sigma = _ENVELOPE * wavelength
    radius = int(np.ceil(_REACH * sigma))
    bell = _bell(sigma, radius)
    padded = _padded(plane, radius)

    def waves(length: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        phase = np.arange(-radius, radius + 1) * (2 * np.pi / length)
        # Without its mean under the bell the wave is blind to the background.
        cosine = np.cos(phase) - (bell * np.cos(phase)).sum() / bell.sum()
        return (bell * cosine).astype(np.float32), (bell * np.sin(phase)).astype(np.float32)

    cos, sin = waves(wavelength)
    cos_slant, sin_slant = waves(wavelength * np.sqrt(2.0))
    down = filter_down(padded, bell)
    envelope = filter_across(down, bell)
    along = filter_across(down, cos), filter_across(down, sin)
    upright = (
        filter_across(filter_down(padded, cos), bell),
        filter_across(filter_down(padded, sin), bell),
    )
    down_cos, down_sin = filter_down(padded, cos_slant), filter_down(padded, sin_slant)
    both_even = filter_across(down_cos, cos_slant)
    both_odd = filter_across(down_sin, sin_slant)
    odd_x, odd_y = filter_across(down_cos, sin_slant), filter_across(down_sin, cos_slant)
    slants = (
        (both_even - both_odd, odd_x + odd_y),
        (both_even + both_odd, odd_x - odd_y),
    )
    return envelope, [along, slants[0], upright, slants[1]]


def _bell(sigma: float, radius: int) -> NDArray[np.float32]:
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def _padded(plane: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    return np.pad(plane, radius, mode="symmetric")
