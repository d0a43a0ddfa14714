"""LocalDensity: how crowded the surroundings of each object are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName

#: Radii in pixels.
RADII = (50, 100)
_NEAREST = 5
_PER_PIXELS = 10_000


def names(
    compartment: str, channels: Sequence[str], scales: Sequence[int] = RADII
) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    densities = [
        FeatureName(compartment, "Neighbors", "LocalDensity", (), (str(radius),))
        for radius in scales
    ]
    return [
        *densities,
        FeatureName(compartment, "Neighbors", "MeanDistanceToNearest", (), (str(_NEAREST),)),
    ]


def measure(compartment: Compartment, scales: Sequence[int] = RADII) -> NDArray[np.float64]:
    """Crowding around each object, float64 (objects, radii + 1).

    `LocalDensity_r` counts the other objects of the mask whose centroid lies within r pixels, per
    10,000 pixels of that disk inside the image, so that the border does not thin it.
    `MeanDistanceToNearest_5` is the mean distance to the five closest centroids.

    NaN: the mean distance with five or fewer objects in the image.
    """
    from phenolake.features.kernels.density import centres_around, mean_distance_to_nearest

    centres = compartment.objects.centroids
    height, width = compartment.objects.labels.shape
    columns = [_PER_PIXELS * centres_around(centres, height, width, int(r)) for r in scales]
    return np.column_stack([*columns, mean_distance_to_nearest(centres, _NEAREST)])
