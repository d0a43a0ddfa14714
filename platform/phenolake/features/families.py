"""The feature families: what is measured together, and with which scales, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from phenolake.features import (
    area_shape,
    correlation,
    costes,
    count,
    dimensions,
    gabor,
    granularity,
    intensity,
    intensity_variation,
    local_density,
    location,
    moments,
    neighbors,
    object_skeleton,
    radial_distribution,
    relations,
    ser,
    texture,
    translocation,
    zernike,
)
from phenolake.features.naming import FeatureName


@dataclass(frozen=True)
class Family:
    """Columns of one compartment that are measured together: their names, and values per object.

    `scales` are the default scales or distances in pixels; names and measure take others as a
    keyword. A family with `by_image` measures all compartments at once, so that what is made of the
    image is made once and need not be kept. A family with `by_object` needs nothing but the pixels
    of each object, so that a compartment can be measured piece by piece.
    """

    names: Callable[..., list[FeatureName]]
    measure: Callable[..., NDArray[np.float64] | list[NDArray[np.float64]]]
    scales: tuple[int, ...] = ()
    by_image: bool = field(default=False, kw_only=True)
    by_object: bool = field(default=False, kw_only=True)

    def at(self, scales: tuple[int, ...]) -> Family:
        """The family at other scales."""
        if not scales:
            return self
        return Family(
            partial(self.names, scales=scales),
            partial(self.measure, scales=scales),
            scales,
            by_image=self.by_image,
            by_object=self.by_object,
        )


#: In the order of the columns.
FAMILIES: dict[str, Family] = {
    "AreaShape": Family(area_shape.names, area_shape.measure),
    "Moments": Family(moments.names, moments.measure),
    "Zernike": Family(zernike.shape_names, zernike.measure_shape),
    "Dimensions": Family(dimensions.names, dimensions.measure),
    "Intensity": Family(intensity.names, intensity.measure, by_object=True),
    "IntensityVariation": Family(
        intensity_variation.names, intensity_variation.measure, by_object=True
    ),
    "Location": Family(location.names, location.measure, by_object=True),
    "Texture": Family(texture.names, texture.measure, texture.SCALES, by_object=True),
    "SER": Family(ser.names, ser.measure, ser.SCALES, by_image=True),
    "Gabor": Family(gabor.names, gabor.measure, gabor.WAVELENGTHS, by_image=True),
    "Correlation": Family(correlation.names, correlation.measure, by_object=True),
    "Costes": Family(costes.names, costes.measure, by_object=True),
    "RadialDistribution": Family(
        radial_distribution.names, radial_distribution.measure, by_object=True
    ),
    "RadialZernike": Family(zernike.radial_names, zernike.measure_radial, by_object=True),
    "Granularity": Family(granularity.names, granularity.measure, by_image=True),
    "ObjectSkeleton": Family(object_skeleton.names, object_skeleton.measure, by_image=True),
    "Neighbors": Family(neighbors.names, neighbors.measure, neighbors.DISTANCES),
    "LocalDensity": Family(local_density.names, local_density.measure, local_density.RADII),
    "Count": Family(count.names, count.measure),
}


@dataclass(frozen=True)
class Comparison:
    """Columns that compare compartments; `measure` takes the whole field."""

    names: Callable[[Sequence[str], Sequence[str]], list[FeatureName]]
    measure: Callable[..., NDArray[np.float64]]


TRANSLOCATION = "Translocation"
#: Their columns follow those of all families.
COMPARISONS: dict[str, Comparison] = {
    TRANSLOCATION: Comparison(translocation.names, translocation.measure),
    "Relations": Comparison(relations.names, relations.measure),
}
