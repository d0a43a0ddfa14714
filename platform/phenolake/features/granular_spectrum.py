"""The images that Granularity averages over objects: one channel with ever larger spots removed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Spot sizes of the spectrum.
SIZES = 16
#: Every fourth pixel is used for the spectrum, and every fourth of those for the background.
_STEP = 4
_BACKGROUND_RADIUS = 10


def sampled_shape(height: int, width: int) -> tuple[int, int]:
    """Shape of the small image on which the spectrum is made."""
    return height // _STEP, width // _STEP


def granular_spectrum(channel: NDArray[np.generic], scale: float, out: NDArray[np.float64]) -> None:
    """Write sixteen reconstructions of one channel (y, x) at a quarter of the scale, (pixels, 16).

    Number i is the background-subtracted channel after i + 1 erosions by one pixel, dilated again
    under it: spots narrower than 2 * (i + 1) + 1 pixels are gone, all else is as it was.
    """
    from phenolake.features.kernels.granularity import component_parents, erode, reconstruct

    height, width = sampled_shape(*channel.shape)
    sampled = channel[: height * _STEP : _STEP, : width * _STEP : _STEP].astype(np.float64) / scale
    mask = np.maximum(sampled - _background(sampled), 0.0)
    eroded = mask
    for size in range(SIZES):
        eroded = erode(eroded)
        out[:, size] = eroded.ravel()
    order = np.argsort(mask, axis=None)[::-1].copy()
    reconstruct(out, mask.ravel(), order, component_parents(height, width, order))


def _background(sampled: NDArray[np.float64]) -> NDArray[np.float64]:
    """The image opened by a disk of radius 10 on every fourth pixel, back at the image's scale."""
    coarse = sampled[::_STEP, ::_STEP]
    opened = -_eroded_by_disk(-_eroded_by_disk(coarse))
    down, across = (
        _enlarging(coarse_size, size)
        for coarse_size, size in zip(coarse.shape, sampled.shape, strict=True)
    )
    return down @ opened @ across.T


def _eroded_by_disk(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest value under a disk of radius 10 at each pixel; the image goes on mirrored."""
    radius = _BACKGROUND_RADIUS
    padded = np.pad(image, radius, mode="symmetric")
    height, width = image.shape
    out = np.full(image.shape, np.inf)
    # Rows of the disk from narrow to wide: each starts from the minimum over the one before.
    line, reach = padded[:, radius : radius + width].copy(), 0
    for offset in range(radius, -1, -1):
        half = int(np.sqrt(radius * radius - offset * offset))
        while reach < half:
            reach += 1
            np.minimum(line, padded[:, radius - reach : radius - reach + width], out=line)
            np.minimum(line, padded[:, radius + reach : radius + reach + width], out=line)
        for row in (radius - offset, radius + offset):
            np.minimum(out, line[row : row + height], out=out)
    return out


def _enlarging(coarse_size: int, size: int) -> NDArray[np.float64]:
    """Matrix (size, coarse_size) of linear interpolation.

    The grid ends at size / 4 - 1 even where that is no whole number, and what rounding puts past
    the last sample is 0: both are CellProfiler's.
    """
    at = np.arange(size) * ((size / _STEP - 1) / (size - 1))
    low = np.clip(np.floor(at).astype(int), 0, coarse_size - 1)
    part = at - low
    weights = np.zeros((size, coarse_size))
    weights[np.arange(size), low] = 1 - part
    weights[np.arange(size), np.minimum(low + 1, coarse_size - 1)] += part
    weights[(at < 0) | (at > coarse_size - 1)] = 0.0
    return weights
