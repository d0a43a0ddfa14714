"""Granularity: how much of each object's intensity lies in spots of each size.

Definitions and names as CellProfiler 4 (MeasureGranularity) with its default settings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.granular_spectrum import SIZES, granular_spectrum, sampled_shape
from phenolake.features.naming import FeatureName
from phenolake.features.objects import Objects


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [
        FeatureName(compartment, "Granularity", str(size), (channel,))
        for channel in channels
        for size in range(1, SIZES + 1)
    ]


def measure(compartments: Sequence[Compartment]) -> list[NDArray[np.float64]]:
    """Spectra of the objects of each compartment, float64 (objects, channels * 16), per cent.

    Entry i is the mean intensity that the i-th erosion and reconstruction takes from the object,
    over its mean intensity. The first includes the background that was subtracted before.

    NaN: an image under 8 pixels high or wide has no spectrum.

    References
    ----------
    Ravkin and Temov (1988), Applied Informatics 14, 41-90; Vincent (1993), IEEE Trans. Image
    Processing 2, 176-201 (reconstruction).
    """
    from phenolake.features.kernels.granularity import weighted_sums

    image = compartments[0].image
    height, width = image.pixels.shape[1:]
    channels = len(image.channels)
    out = [np.full((part.objects.count, channels, SIZES), np.nan) for part in compartments]
    if min(sampled_shape(height, width)) >= 2:
        weights = [_weights(part.objects) for part in compartments]
        spectrum = np.empty((np.prod(sampled_shape(height, width)), SIZES))
        for c, channel in enumerate(image.pixels):
            granular_spectrum(channel, image.scale, spectrum)
            for values, part, enlarging in zip(out, compartments, weights, strict=True):
                start = part.means[:, c : c + 1]
                left = np.hstack([start, weighted_sums(spectrum, *enlarging)])
                taken = left[:, :-1] - left[:, 1:]
                values[:, c] = taken * 100 / np.maximum(start, np.finfo(np.float64).eps)
    return [values.reshape(values.shape[0], -1) for values in out]


def _weights(
    objects: Objects,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """How much of each pixel of the small image every object holds."""
    from phenolake.features.kernels.granularity import enlarging_weights

    height, width = objects.labels.shape
    small = sampled_shape(height, width)
    scales = (small[0] - 1) / (height - 1), (small[1] - 1) / (width - 1)
    places = objects.starts, objects.rows, objects.cols, objects.boxes
    return enlarging_weights(*places, *small, *scales)
