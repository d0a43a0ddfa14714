"""AreaShape: size, outline, axes, radii and calipers of each object.

Definitions and names as CellProfiler 4 (MeasureObjectSizeShape).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName

_MEASURES = (
    "Area",
    "BoundingBoxArea",
    "BoundingBoxMaximum_X",
    "BoundingBoxMaximum_Y",
    "BoundingBoxMinimum_X",
    "BoundingBoxMinimum_Y",
    "Center_X",
    "Center_Y",
    "Compactness",
    "ConvexArea",
    "Eccentricity",
    "EquivalentDiameter",
    "EulerNumber",
    "Extent",
    "FormFactor",
    "MajorAxisLength",
    "MaxFeretDiameter",
    "MaximumRadius",
    "MeanRadius",
    "MedianRadius",
    "MinFeretDiameter",
    "MinorAxisLength",
    "Orientation",
    "Perimeter",
    "Solidity",
)


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [FeatureName(compartment, "AreaShape", measure) for measure in _MEASURES]


def measure(compartment: Compartment) -> NDArray[np.float64]:
    """Shape of each object, float64 (objects, 25); lengths in pixels, angles in degrees.

    Conventions: axes from second moments of pixel centres (4 * sqrt of the eigenvalue);
    `Orientation` is the angle of the major axis to the rows' axis, -90 to 90; radii are distances
    to the nearest pixel outside the object, past the image border included; boxes end one past the
    last pixel; Feret diameters run between pixel centres.

    NaN: `FormFactor` of an object without perimeter (one or two pixels).

    Differs from cp_measure 0.3, beyond that NaN (it has inf), only where an object has equal axes:
    moments are exact sums here, so that `Orientation` is +-45 and not rounding noise.

    References
    ----------
    Perimeter: Benkrid and Crookes, "Design and FPGA implementation of a perimeter estimator".
    Euler number: Gray (1971), "Local properties of binary images in two dimensions".
    """
    from phenolake.features.kernels.hulls import feret_diameters, hull_areas
    from phenolake.features.kernels.shape import euler_numbers, perimeters, radius_statistics

    objects = compartment.objects
    starts, rows, cols, boxes = objects.starts, objects.rows, objects.cols, objects.boxes
    area = objects.areas
    perimeter = perimeters(objects.labels, objects.flags, *objects.outline, rows, cols)
    convex_area = hull_areas(starts, rows, cols, boxes)
    box_area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).astype(np.float64)
    narrow, wide = feret_diameters(objects.hulls.starts, objects.hulls.rows, objects.hulls.cols)
    radii = radius_statistics(starts, objects.distances[0])
    major, minor, eccentricity, orientation = _axes(objects.coordinate_sums, area)
    form_factor = np.full(area.shape, np.nan)
    np.divide(4.0 * np.pi * area, perimeter**2, out=form_factor, where=perimeter > 0)
    columns: dict[str, NDArray[np.generic]] = {
        "Area": area,
        "BoundingBoxArea": box_area,
        "BoundingBoxMaximum_X": boxes[:, 3],
        "BoundingBoxMaximum_Y": boxes[:, 2],
        "BoundingBoxMinimum_X": boxes[:, 1],
        "BoundingBoxMinimum_Y": boxes[:, 0],
        "Center_X": objects.centroids[:, 1],
        "Center_Y": objects.centroids[:, 0],
        "Compactness": perimeter**2 / (4.0 * np.pi * area),
        "ConvexArea": convex_area,
        "Eccentricity": eccentricity,
        "EquivalentDiameter": np.sqrt(4.0 * area / np.pi),
        "EulerNumber": euler_numbers(objects.labels, boxes),
        "Extent": area / box_area,
        "FormFactor": form_factor,
        "MajorAxisLength": major,
        "MaxFeretDiameter": wide,
        "MaximumRadius": radii[:, 0],
        "MeanRadius": radii[:, 1],
        "MedianRadius": radii[:, 2],
        "MinFeretDiameter": narrow,
        "MinorAxisLength": minor,
        "Orientation": orientation,
        "Perimeter": perimeter,
        "Solidity": area / convex_area,
    }
    return np.column_stack([columns[name].astype(np.float64) for name in _MEASURES])


def _axes(sums: NDArray[np.float64], area: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Major and minor axis length, eccentricity and orientation of the ellipse of equal moments."""
    y, x, yy, yx, xx = sums.T
    square = area * area
    var_y = (area * yy - y * y) / square
    var_x = (area * xx - x * x) / square
    cov = (area * yx - y * x) / square
    middle = (var_y + var_x) / 2
    spread = np.sqrt(((var_x - var_y) / 2) ** 2 + cov**2)
    large = np.maximum(middle + spread, 0.0)
    small = np.maximum(middle - spread, 0.0)
    ratio = np.divide(small, large, out=np.ones_like(large), where=large > 0)
    orientation = np.where(
        var_x == var_y,
        np.where(cov > 0, np.pi / 4, -np.pi / 4),
        0.5 * np.arctan2(2 * cov, var_y - var_x),
    )
    return 4 * np.sqrt(large), 4 * np.sqrt(small), np.sqrt(1 - ratio), np.degrees(orientation)
