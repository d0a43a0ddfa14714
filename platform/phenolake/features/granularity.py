"""Granularity: how much of each object's intensity lies in spots of each size.

Definitions and names as CellProfiler 4 (MeasureGranularity) with its default settings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.granular_spectrum import SIZES, sampled_shape
from phenolake.features.naming import FeatureName


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [
        FeatureName(compartment, "Granularity", str(size), (channel,))
        for channel in channels
        for size in range(1, SIZES + 1)
    ]


def measure(compartment: Compartment) -> NDArray[np.float64]:
    """Spectrum of each object and channel, float64 (objects, channels * 16), per cent.

    Entry i is the mean intensity that the i-th erosion and reconstruction takes from the object,
    over its mean intensity. The first includes the background that was subtracted before.

    NaN: an image under 8 pixels high or wide has no spectrum.

    References
    ----------
    Ravkin and Temov (1988), Applied Informatics 14, 41-90; Vincent (1993), IEEE Trans. Image
    Processing 2, 176-201 (reconstruction).
    """
    from phenolake.features.kernels.granularity import enlarging_weights, weighted_sums

    objects = compartment.objects
    height, width = objects.labels.shape
    small = sampled_shape(height, width)
    out = np.full((objects.count, len(compartment.image.channels), SIZES), np.nan)
    if min(small) < 2:
        return out.reshape(objects.count, -1)
    scale_y, scale_x = (small[0] - 1) / (height - 1), (small[1] - 1) / (width - 1)
    weights = enlarging_weights(
        objects.starts, objects.rows, objects.cols, objects.boxes, *small, scale_y, scale_x
    )
    for c, spectrum in enumerate(compartment.image.granular_spectra):
        start = compartment.means[:, c : c + 1]
        left = np.hstack([start, weighted_sums(spectrum, *weights)])
        taken = left[:, :-1] - left[:, 1:]
        out[:, c] = taken * 100 / np.maximum(start, np.finfo(np.float64).eps)
    return out.reshape(objects.count, -1)
