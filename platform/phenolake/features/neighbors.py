"""Neighbors: how many objects of the same mask lie near each object, and where.

Definitions and names as CellProfiler 4 (MeasureObjectNeighbors), adjacent and within a distance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName

#: Distances in pixels, besides that of adjacent objects.
DISTANCES = (5,)
_MEASURES = (
    "NumberOfNeighbors",
    "PercentTouching",
    "FirstClosestDistance",
    "SecondClosestDistance",
    "AngleBetweenNeighbors",
)


def names(
    compartment: str, channels: Sequence[str], scales: Sequence[int] = DISTANCES
) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [
        FeatureName(compartment, "Neighbors", measure, (), (distance,))
        for distance in ("Adjacent", *map(str, scales))
        for measure in _MEASURES
    ]


def measure(compartment: Compartment, scales: Sequence[int] = DISTANCES) -> NDArray[np.float64]:
    """Neighbourhood of each object, float64 (objects, 5 + distances * 5).

    `NumberOfNeighbors` counts objects with a pixel within the distance of one of this object's;
    `PercentTouching` is the share of outline pixels at which one begins. The closest objects are
    those with the closest centroids, at any distance; the angle between them is in degrees, 0 to
    180. The last three do not depend on the distance and stand at each, as in CellProfiler.

    NaN: the distance to the first or second closest where the image has no such object, and the
    angle with fewer than two or with a centroid in the same place (cp_measure has 0).
    """
    from phenolake.features.kernels.neighbors import near_objects, nearest_two

    objects = compartment.objects
    closest = _closest(objects.centroids, nearest_two(objects.centroids))
    blocks = []
    for distance in (1, *scales):
        near = near_objects(objects.labels, *objects.outline, objects.rows, objects.cols, distance)
        blocks += [near, closest]
    return np.concatenate(blocks, axis=1)


def _closest(centres: NDArray[np.float64], nearest: NDArray[np.int64]) -> NDArray[np.float64]:
    """Distance to the two nearest centres and the angle between them, (objects, 3)."""
    to = np.where((nearest >= 0)[:, :, None], centres[nearest] - centres[:, None], np.nan)
    lengths = np.hypot(to[:, :, 0], to[:, :, 1])
    product = lengths[:, 0] * lengths[:, 1]
    cosine = np.full(product.shape, np.nan)
    np.divide((to[:, 0] * to[:, 1]).sum(axis=1), product, out=cosine, where=product > 0)
    angle = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return np.column_stack([lengths, angle])
