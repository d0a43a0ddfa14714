"""Measure the objects of a z stack: shape, intensity, location and texture in 3D."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phenolake.errors import ConfigurationError, MaskShapeError
from phenolake.features import intensity, texture, volume_shape
from phenolake.features.field import Compartment, Image
from phenolake.features.naming import FeatureName
from phenolake.features.presets import COLUMN_PRESETS, Selection
from phenolake.features.volume_objects import VolumeObjects
from phenolake.identity import OBJECT

if TYPE_CHECKING:
    import polars as pl

#: The families that are measured in 3D, in the order of the columns.
VOLUME_FAMILIES = ("AreaShape", "Intensity", "Location", "Texture")
#: (z, y, x) of the thirteen directions, numbered 00 to 12 in the names.
_DIRECTIONS = np.array(
    [
        (1, 0, 0), (1, 1, 0), (0, 1, 0), (1, -1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1),
        (1, 1, 1), (1, -1, 1), (1, 0, -1), (0, 1, -1), (1, 1, -1), (1, -1, -1),
    ],
    np.int64,
)  # fmt: skip


class _Part:
    """Objects of one mask of a stack with their intensities."""

    def __init__(self, name: str, mask: NDArray[np.integer], image: Image) -> None:
        self.name, self.image = name, image
        self.objects = VolumeObjects.of(mask, name)
        # Sorting and means need no geometry: the planes may stand below each other.
        self.pixels = Compartment(name, self.objects.listed, image)

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """Centre of mass and brightest voxel (x, y, z), mass displacement; (objects, channels, 7)."""
        from phenolake.features.kernels.shape import first_maxima

        starts = self.objects.listed.starts
        xyz = self.objects.coordinates[::-1].astype(np.float64)
        out = np.empty((self.objects.count, len(self.image.channels), 7))
        for c, values in enumerate(self.pixels.values):
            total = np.add.reduceat(values, starts[:-1])
            mass = np.full((3, self.objects.count), np.nan)
            moments = np.add.reduceat(values * xyz, starts[:-1], axis=1)
            np.divide(moments, total, out=mass, where=total != 0)
            out[:, c, :3] = mass.T
            out[:, c, 3:6] = xyz[:, first_maxima(starts, values)].T
            out[:, c, 6] = np.linalg.norm(mass.T - self.objects.centroids[:, ::-1], axis=1)
        return out


def measure_volume(
    image: NDArray[np.generic],
    channels: Sequence[str],
    masks: Mapping[str, NDArray[np.integer]],
    families: str | Iterable[str] | None = None,
) -> pl.DataFrame:
    """One row per object number of a z stack; `measure` calls this for (channel, z, y, x).

    A preset gives those of its families that are measured in 3D (`VOLUME_FAMILIES`). Names and
    definitions are those of CellProfiler 4 but for `MADIntensity`, which here is the median
    deviation as in 2D: CellProfiler takes the lower third of the deviations in 3D.

    Raises
    ------
    ConfigurationError
        If none of the families is measured in 3D, or the image or masks can't be measured.
    MaskShapeError
        If a mask does not have the image's shape.
    """
    import polars as pl

    chosen = _chosen(families)
    image = np.asarray(image)
    flat = Image.checked(image.reshape(image.shape[0], -1, image.shape[3]), channels)
    if not masks:
        raise ConfigurationError("no masks given, nothing to measure")
    parts = []
    for name, mask in masks.items():
        if not name or "_" in name:
            raise ConfigurationError(f"compartment {name!r}: no underscore, and not empty")
        if np.shape(mask) != image.shape[1:]:
            raise MaskShapeError(f"mask {name}", image.shape[1:], np.shape(mask))
        parts.append(_Part(name, mask, flat))
    numbers = np.unique(np.concatenate([part.objects.listed.numbers for part in parts]))
    columns: dict[str, NDArray[np.generic]] = {OBJECT: numbers}
    for part in parts:
        rows = np.searchsorted(numbers, part.objects.listed.numbers)
        for family, scales in chosen.items():
            names, values = _FAMILIES[family](part, scales)
            table = np.full((len(names), numbers.size), np.nan)
            if rows.size:
                table[:, rows] = values().T
            columns |= dict(zip(map(str, names), table, strict=True))
    return pl.DataFrame(columns)


def _chosen(families: str | Iterable[str] | None) -> dict[str, tuple[int, ...]]:
    if isinstance(families, str) and families in COLUMN_PRESETS:
        raise ConfigurationError(f"preset {families} is two-dimensional")
    selected = Selection.of(families).families
    chosen = {name: selected[name].scales for name in VOLUME_FAMILIES if name in selected}
    if not chosen:
        raise ConfigurationError(
            f"of z stacks only {', '.join(VOLUME_FAMILIES)} are measured, got {', '.join(selected)}"
        )
    return chosen


_Measured = tuple[list[FeatureName], Callable[[], NDArray[np.float64]]]


def _shape(part: _Part, scales: Sequence[int]) -> _Measured:
    names = volume_shape.names(part.name, part.image.channels)
    return names, lambda: volume_shape.measure(part.objects)


def _intensity(part: _Part, scales: Sequence[int]) -> _Measured:
    from phenolake.features.kernels.intensity import intensity_statistics

    def values() -> NDArray[np.float64]:
        pixels, objects = part.pixels, part.objects
        statistics = intensity_statistics(
            pixels.values,
            pixels.ordered,
            pixels.means,
            *objects.inner_edge,
            objects.listed.starts,
        )
        both = np.concatenate([statistics, part.positions[:, :, 6:]], axis=2)
        return both.reshape(objects.count, -1)

    return intensity.names(part.name, part.image.channels), values


def _location(part: _Part, scales: Sequence[int]) -> _Measured:
    names = [FeatureName(part.name, "Location", f"Center_{axis}") for axis in "XYZ"]
    names += [
        FeatureName(part.name, "Location", f"{measure}_{axis}", (channel,))
        for channel in part.image.channels
        for measure in ("CenterMassIntensity", "MaxIntensity")
        for axis in "XYZ"
    ]

    def values() -> NDArray[np.float64]:
        of_channels = part.positions[:, :, :6].reshape(part.objects.count, -1)
        return np.concatenate([part.objects.centroids[:, ::-1], of_channels], axis=1)

    return names, values


def _texture(part: _Part, scales: Sequence[int]) -> _Measured:
    from phenolake.features.kernels.volume import crop_places

    def values() -> NDArray[np.float64]:
        objects = part.objects

        def crops(scale: int) -> texture.Crops:
            return crop_places(
                objects.listed.starts, objects.coordinates, objects.boxes, scale,
                _DIRECTIONS * scale,
            )  # fmt: skip

        return texture.haralick_features(part.pixels, scales, crops)

    directions = len(_DIRECTIONS)
    return texture.names(part.name, part.image.channels, scales, directions), values


_FAMILIES: dict[str, Callable[[_Part, Sequence[int]], _Measured]] = {
    "AreaShape": _shape,
    "Intensity": _intensity,
    "Location": _location,
    "Texture": _texture,
}
