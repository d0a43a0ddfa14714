"""Dimensions: size in micrometres, slimness and roundness of each object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName

_MEASURES = ("WidthToLengthRatio", "LengthUm", "WidthUm", "Roundness", "AreaUm2")


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [FeatureName(compartment, "AreaShape", measure) for measure in _MEASURES]


def measure(compartment: Compartment) -> NDArray[np.float64]:
    """Dimensions of each object, float64 (objects, 5).

    Length and width are the largest and smallest Feret diameter between pixel centres, `Roundness`
    is 4 pi area / perimeter ** 2, as `FormFactor`.

    NaN: micrometres where the pixel size is not known; the ratio of a one-pixel object; the
    roundness of an object without perimeter (one or two pixels).
    """
    from phenolake.features.kernels.hulls import feret_diameters
    from phenolake.features.kernels.shape import perimeters

    objects = compartment.objects
    pixel = compartment.image.pixel_size_um or np.nan
    width, length = feret_diameters(objects.hulls.starts, objects.hulls.rows, objects.hulls.cols)
    outline = perimeters(
        objects.labels, objects.flags, *objects.outline, objects.rows, objects.cols
    )
    ratio, roundness = np.full((2, objects.count), np.nan)
    np.divide(width, length, out=ratio, where=length > 0)
    np.divide(4 * np.pi * objects.areas, outline**2, out=roundness, where=outline > 0)
    return np.column_stack(
        [ratio, length * pixel, width * pixel, roundness, objects.areas * pixel**2]
    )
