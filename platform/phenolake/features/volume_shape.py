"""AreaShape of z stacks: size, surface, axes and place of each object.

Definitions and names as CellProfiler 4 (MeasureObjectSizeShape, volumes).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.naming import FeatureName
from phenolake.features.volume_objects import VolumeObjects

_MEASURES = (
    "Volume",
    "SurfaceArea",
    "BoundingBoxVolume",
    "BoundingBoxMaximum_X",
    "BoundingBoxMaximum_Y",
    "BoundingBoxMaximum_Z",
    "BoundingBoxMinimum_X",
    "BoundingBoxMinimum_Y",
    "BoundingBoxMinimum_Z",
    "Center_X",
    "Center_Y",
    "Center_Z",
    "EquivalentDiameter",
    "EulerNumber",
    "Extent",
    "MajorAxisLength",
    "MinorAxisLength",
)


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [FeatureName(compartment, "AreaShape", measure) for measure in _MEASURES]


def measure(objects: VolumeObjects) -> NDArray[np.float64]:
    """Shape of each object, float64 (objects, 17); lengths in voxels, whatever their proportions.

    `SurfaceArea` is the marching cubes mesh around the object, open where it meets the border of
    the stack. Axes are those of scikit-image in 3D: of the ellipsoid with the same second moments,
    the longest and the shortest.

    NaN: `SurfaceArea` of an object that fills the stack or is flat against its border.
    """
    from skimage.measure import euler_number

    boxes, volume = objects.boxes, objects.listed.areas
    sizes = boxes[:, 3:] - boxes[:, :3]
    box_volume = sizes.prod(axis=1).astype(np.float64)
    surface, euler = np.full((2, objects.count), np.nan)
    for k, box in enumerate(boxes):
        inside = tuple(slice(box[i], box[i + 3]) for i in range(3))
        euler[k] = euler_number(objects.labels[inside] == k + 1, connectivity=3)
        surface[k] = _surface(objects.labels, k + 1, box)
    major, minor = _axes(objects)
    columns: dict[str, NDArray[np.generic]] = {
        "Volume": volume,
        "SurfaceArea": surface,
        "BoundingBoxVolume": box_volume,
        "EquivalentDiameter": np.cbrt(6 * volume / np.pi),
        "EulerNumber": euler,
        "Extent": volume / box_volume,
        "MajorAxisLength": major,
        "MinorAxisLength": minor,
    }
    for i, axis in enumerate("ZYX"):
        columns[f"BoundingBoxMinimum_{axis}"] = boxes[:, i]
        columns[f"BoundingBoxMaximum_{axis}"] = boxes[:, i + 3]
        columns[f"Center_{axis}"] = objects.centroids[:, i]
    return np.column_stack([columns[name].astype(np.float64) for name in _MEASURES])


def _surface(labels: NDArray[np.int32], number: int, box: NDArray[np.int64]) -> float:
    from skimage.measure import marching_cubes, mesh_surface_area

    around = tuple(
        slice(max(box[i] - 1, 0), min(box[i + 3] + 1, labels.shape[i])) for i in range(3)
    )
    alone = labels[around] == number
    if alone.all() or min(alone.shape) < 2:
        return np.nan
    vertices, faces, _, _ = marching_cubes(alone, level=0, method="lewiner")
    return float(mesh_surface_area(vertices, faces))


def _axes(objects: VolumeObjects) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longest and shortest axis of the ellipsoid with the object's second moments."""
    starts, size = objects.listed.starts, objects.listed.areas
    away = objects.coordinates - np.repeat(objects.centroids.T, np.diff(starts), axis=1)
    covariance = np.empty((objects.count, 3, 3))
    for i in range(3):
        for j in range(i, 3):
            sums = np.add.reduceat(away[i] * away[j], starts[:-1])
            covariance[:, i, j] = covariance[:, j, i] = sums / size
    small, middle, large = np.linalg.eigvalsh(covariance).T
    trace = small + middle + large
    # Eigenvalues of the inertia tensor are the trace less those of the covariance.
    first, second, third = trace - small, trace - middle, trace - large
    major = np.sqrt(np.maximum(10 * (first + second - third), 0.0))
    minor = np.sqrt(np.maximum(10 * (second + third - first), 0.0))
    return major, minor
