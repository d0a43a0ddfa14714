"""Features of a whole field: its intensities, textures, correlations, and what its masks cover."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phenolake.errors import UnknownNameError
from phenolake.features.families import FAMILIES
from phenolake.features.field import Compartment, Field
from phenolake.features.objects import Objects

if TYPE_CHECKING:
    import polars as pl

_COMPARTMENT = "Image"
#: Families of cells that mean the same of a field taken as one object.
_SHARED = ("Texture", "Correlation", "Granularity")
FIELD_FAMILIES = ("Intensity", "AreaOccupied", "Count", *_SHARED)


def measure_field(
    image: NDArray[np.generic],
    channels: Sequence[str],
    masks: Mapping[str, NDArray[np.integer]],
    families: Iterable[str] | None = None,
) -> pl.DataFrame:
    """One row of features of the whole field, float64, with CellProfiler's `Image_` names.

    Parameters
    ----------
    image, channels, masks
        As in `measure`, two-dimensional.
    families
        Some of `FIELD_FAMILIES`; `None` for all. `Intensity` holds sums, quartiles and the share of
        pixels at the largest value in per cent; `Count` the objects of each mask; `AreaOccupied`
        its foreground pixels, the sum of its objects' perimeters and the pixels of the image;
        `Texture`, `Correlation` and `Granularity` are those of cells, of the field as one object.

    Raises
    ------
    ConfigurationError, MaskShapeError
        As in `measure`.
    UnknownNameError
        If a family does not exist.
    """
    import polars as pl

    chosen = tuple(FIELD_FAMILIES if families is None else families)
    for name in chosen:
        if name not in FIELD_FAMILIES:
            raise UnknownNameError("field feature family", name, FIELD_FAMILIES)
    field = Field.checked(image, channels, masks)
    row: dict[str, float] = {}
    own: dict[str, Callable[[Field], dict[str, float]]] = {
        "Intensity": _intensity,
        "AreaOccupied": _area_occupied,
        "Count": _count,
    }
    for name in own:
        if name in chosen:
            row |= own[name](field)
    shared = [name for name in _SHARED if name in chosen]
    if shared:
        everything = np.ones(field.image.pixels.shape[1:], np.int32)
        whole = Compartment(_COMPARTMENT, Objects.of(everything), field.image)
        for name in shared:
            columns = map(str, FAMILIES[name].names(_COMPARTMENT, channels))
            family = FAMILIES[name]
            values = np.ravel(family.measure([whole] if family.by_image else whole))
            row |= dict(zip(columns, values.tolist(), strict=True))
    return pl.DataFrame({name: [float(value)] for name, value in row.items()})


def _intensity(field: Field) -> dict[str, float]:
    row: dict[str, float] = {}
    for c, channel in enumerate(field.image.channels):
        values = np.divide(field.image.pixels[c], field.image.scale, dtype=np.float64).ravel()
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
        found = {
            "TotalIntensity": values.sum(),
            "MeanIntensity": values.mean(),
            "StdIntensity": values.std(),
            "MinIntensity": values.min(),
            "MaxIntensity": values.max(),
            "LowerQuartileIntensity": low,
            "MedianIntensity": median,
            "MADIntensity": np.median(np.abs(values - median)),
            "UpperQuartileIntensity": high,
            "PercentMaximal": 100.0 * np.mean(values == values.max()),
        }
        row |= {f"{_COMPARTMENT}_Intensity_{name}_{channel}": float(v) for name, v in found.items()}
    return row


def _area_occupied(field: Field) -> dict[str, float]:
    from phenolake.features.kernels.shape import perimeters

    row = {}
    for name, part in field.compartments.items():
        objects = part.objects
        outline = perimeters(
            objects.labels, objects.flags, *objects.outline, objects.rows, objects.cols
        )
        prefix = f"{_COMPARTMENT}_AreaOccupied"
        row[f"{prefix}_AreaOccupied_{name}"] = float(objects.rows.size)
        row[f"{prefix}_Perimeter_{name}"] = float(outline.sum())
        row[f"{prefix}_TotalArea_{name}"] = float(objects.labels.size)
    return row


def _count(field: Field) -> dict[str, float]:
    return {
        f"{_COMPARTMENT}_Count_{name}": float(part.objects.count)
        for name, part in field.compartments.items()
    }
