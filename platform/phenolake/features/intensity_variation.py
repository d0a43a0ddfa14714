"""IntensityVariation: contrast and relative spread of each object's intensities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [
        FeatureName(compartment, "Intensity", measure, (channel,))
        for channel in channels
        for measure in ("Contrast", "CV")
    ]


def measure(compartment: Compartment) -> NDArray[np.float64]:
    """Contrast and variation of each object and channel, float64 (objects, channels * 2).

    `Contrast` is (largest - smallest) / (largest + smallest); `CV` is the standard deviation
    (over n) over the mean, in per cent.

    NaN: where the denominator is 0.
    """
    from phenolake.features.kernels.intensity import contrast_and_variation

    objects = compartment.objects
    found = contrast_and_variation(compartment.values, compartment.means, objects.starts)
    return found.reshape(objects.count, -1)
