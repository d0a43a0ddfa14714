"""RadialDistribution: how intensity changes from the centre of each object to its edge.

Definitions and names as CellProfiler 4 (MeasureObjectIntensityDistribution), four rings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName

_RINGS = 4
_MEASURES = ("FracAtD", "MeanFrac", "RadialCV")


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [
        FeatureName(compartment, "RadialDistribution", measure, (channel,), (f"{ring}of{_RINGS}",))
        for channel in channels
        for measure in _MEASURES
        for ring in range(1, _RINGS + 1)
    ]


def measure(compartment: Compartment) -> NDArray[np.float64]:
    """Rings of each object and channel, float64 (objects, channels * 12).

    The centre is the pixel farthest from the edge, the first in row order of equals. A pixel's
    ring is its path length from the centre inside the object, over that plus its distance to the
    edge. `FracAtD` is the ring's share of the intensity, `MeanFrac` that over its share of pixels,
    `RadialCV` the variation of the means of eight wedges in it. Parts of an object that no path
    joins to the centre are left out. Here the image border is no edge.

    NaN: all where the intensities sum to 0, and `RadialCV` of a ring that does.
    """
    from phenolake.features.kernels.distances import distance_along_object
    from phenolake.features.kernels.radial import radial_distribution, sectors
    from phenolake.features.kernels.shape import first_maxima

    objects = compartment.objects
    starts, rows, cols = objects.starts, objects.rows, objects.cols
    to_edge = objects.distances[1]
    centres = first_maxima(starts, to_edge)
    from_centre = distance_along_object(starts, rows, cols, objects.boxes, centres)
    sector = sectors(starts, rows, cols, centres, to_edge, from_centre, _RINGS)
    distribution = radial_distribution(compartment.values, starts, sector, _RINGS)
    return distribution.reshape(objects.count, -1)
