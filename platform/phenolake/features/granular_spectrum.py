"""The images that Granularity averages over objects: one channel with ever larger spots removed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Spot sizes of the spectrum.
SIZES = 16
#: Every fourth pixel is used for the spectrum, and every fourth of those for the background.
_STEP = 4
_BACKGROUND_RADIUS = 10


def sampled_shape(height: int, width: int) -> tuple[int, int]:
    """Shape of the small image on which the spectrum is made."""
    return height // _STEP, width // _STEP


def granular_spectrum(channel: NDArray[np.generic], scale: float) -> list[NDArray[np.float64]]:
    """The sixteen reconstructions of one channel (y, x), float64 at a quarter of the scale.

    Image i is the background-subtracted channel after i erosions by a pixel and reconstruction.
    """
    from phenolake.features.kernels.granularity import erode, reconstruct

    height, width = sampled_shape(*channel.shape)
    sampled = channel[: height * _STEP : _STEP, : width * _STEP : _STEP] / np.float64(scale)
    mask = np.maximum(sampled - _background(sampled), 0.0)
    eroded, spectrum = mask, []
    for _ in range(SIZES):
        eroded = erode(eroded)
        spectrum.append(reconstruct(eroded, mask))
    return spectrum


def _background(sampled: NDArray[np.float64]) -> NDArray[np.float64]:
    """The image opened by a disk of radius 10 on every fourth pixel, back at the image's scale."""
    y, x = np.ogrid[
        -_BACKGROUND_RADIUS : _BACKGROUND_RADIUS + 1, -_BACKGROUND_RADIUS : _BACKGROUND_RADIUS + 1
    ]
    disk = y * y + x * x <= _BACKGROUND_RADIUS**2
    coarse = sampled[::_STEP, ::_STEP]
    opened = ndimage.grey_dilation(ndimage.grey_erosion(coarse, footprint=disk), footprint=disk)
    # The grid ends at size / 4 - 1 even where that is no whole number: CellProfiler's convention.
    rows, cols = (np.arange(size) * ((size / _STEP - 1) / (size - 1)) for size in sampled.shape)
    grid = np.meshgrid(rows, cols, indexing="ij")
    background: NDArray[np.float64] = ndimage.map_coordinates(opened, grid, order=1)
    return background
