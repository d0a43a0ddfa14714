"""Gaussian smoothing and Gabor responses of one channel, mirrored at the image border."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

#: Gaussians end at so many standard deviations.
_REACH = 3.0
#: Standard deviation of a Gabor filter's envelope in wavelengths: a bandwidth of one octave.
_ENVELOPE = 0.56


def smoothed(plane: Plane, sigma: float) -> Plane:
    """The plane (y, x) under a Gaussian of that standard deviation in pixels; 0 leaves it as it is."""
    from phenolake.features.kernels.filters import filter_across, filter_down

    if sigma == 0:
        return plane
    radius = int(np.ceil(_REACH * sigma))
    bell = _bell(sigma, radius)
    return filter_across(filter_down(_padded(plane, radius), bell), bell)


def gabor_responses(plane: Plane, wavelength: float) -> tuple[Plane, Iterator[tuple[Plane, Plane]]]:
    """The plane under the envelope, and real and imaginary response to waves of four directions.

    Waves run along x, then turned by 45, 90 and 135 degrees (x to y). A constant has no response.
    The responses are made one after the other.
    """
    from phenolake.features.kernels.filters import filter_across, filter_down

    sigma = _ENVELOPE * wavelength
    radius = int(np.ceil(_REACH * sigma))
    bell = _bell(sigma, radius)
    padded = _padded(plane, radius)
    envelope = filter_across(filter_down(padded, bell), bell)

    def waves(length: float) -> tuple[Plane, Plane]:
        phase = np.arange(-radius, radius + 1) * (2 * np.pi / length)
        # Without its mean under the bell the wave is blind to the background.
        cosine = np.cos(phase) - (bell * np.cos(phase)).sum() / bell.sum()
        return (bell * cosine).astype(np.float32), (bell * np.sin(phase)).astype(np.float32)

    def responses() -> Iterator[tuple[Plane, Plane]]:
        cos, sin = waves(wavelength)
        down = filter_down(padded, bell)
        yield filter_across(down, cos), filter_across(down, sin)
        even, odd = waves(wavelength * np.sqrt(2.0))
        down = filter_down(padded, even)
        real, imaginary = filter_across(down, even), filter_across(down, odd)
        down = filter_down(padded, odd)
        turned_real, turned_imaginary = filter_across(down, odd), filter_across(down, even)
        yield real - turned_real, imaginary + turned_imaginary
        yield (
            filter_across(filter_down(padded, cos), bell),
            filter_across(filter_down(padded, sin), bell),
        )
        yield real + turned_real, imaginary - turned_imaginary

    return envelope, responses()


def _bell(sigma: float, radius: int) -> Plane:
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def _padded(plane: Plane, radius: int) -> Plane:
    return np.pad(plane, radius, mode="symmetric")
