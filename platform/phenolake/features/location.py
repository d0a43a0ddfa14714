"""Location: where each object and its intensity lie. Positions, not features of the object.

Definitions and names as CellProfiler 4; pixels from the top left corner, x to the right, y down.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName

_OF_CHANNEL = ("CenterMassIntensity_X", "CenterMassIntensity_Y", "MaxIntensity_X", "MaxIntensity_Y")


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    own = [FeatureName(compartment, "Location", measure) for measure in ("Center_X", "Center_Y")]
    return own + [
        FeatureName(compartment, "Location", measure, (channel,))
        for channel in channels
        for measure in _OF_CHANNEL
    ]


def measure(compartment: Compartment) -> NDArray[np.float64]:
    """Positions of each object in each channel, float64 (objects, 2 + channels * 4).

    Of several brightest pixels the first in row order counts. NaN: the centre of mass of an object
    whose intensities sum to 0.
    """
    objects = compartment.objects
    of_channels = compartment.positions[:, :, :4].reshape(objects.count, -1)
    return np.concatenate([objects.centroids[:, ::-1], of_channels], axis=1)
