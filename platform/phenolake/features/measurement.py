"""Measure every object of a field in all compartments and channels: one row per object number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phenolake.features import translocation
from phenolake.features.families import FAMILIES, TRANSLOCATION, chosen_families
from phenolake.features.field import Field
from phenolake.features.naming import FeatureName
from phenolake.identity import OBJECT

if TYPE_CHECKING:
    import polars as pl


def measure(
    image: NDArray[np.generic],
    channels: Sequence[str],
    masks: Mapping[str, NDArray[np.integer]],
    families: str | Iterable[str] | None = None,
) -> pl.DataFrame:
    """One row per object number with the features of every compartment, CellProfiler's names.

    Parameters
    ----------
    image
        Integer or float, shape (channel, y, x). Integers are divided by their dtype's maximum, as
        CellProfiler does; floats are taken as they are, 0..1 expected by Texture.
    channels
        Name of each channel, such as `DNA`.
    masks
        Compartment name to label image: integer, shape (y, x), 0 = background. Labels may have
        gaps; one number means one cell in all masks. Never changed.
    families
        `None` for the standard preset, a preset (`fast`, `standard`, `full`), or family names.

    Returns
    -------
    polars.DataFrame
        `Metadata_ObjectNumber` (int32, ascending, of all masks together), then float64 columns in
        the order of `feature_names`. An object that a mask lacks is NaN there. No objects give no
        rows and all columns.

    Raises
    ------
    ConfigurationError
        If image, channels or masks can't be measured (shape, dtype, names, labels).
    MaskShapeError
        If a mask does not have the image's height and width.
    UnknownNameError
        If a family or preset does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> from phenolake.features import measure
    >>> image = np.full((1, 8, 8), 51, np.uint8)
    >>> mask = np.zeros((8, 8), np.int32)
    >>> mask[2:5, 2:6] = 7
    >>> frame = measure(image, ["DNA"], {"Nuclei": mask}, families=["AreaShape", "Intensity"])
    >>> frame.select("Metadata_ObjectNumber", "Nuclei_AreaShape_Area").row(0)
    (7, 12.0)
    >>> frame["Nuclei_Intensity_MeanIntensity_DNA"].item()
    0.2
    """
    import polars as pl

    chosen = chosen_families(families)
    field = Field.checked(image, channels, masks)
    names = feature_names(channels, masks, chosen)
    # One row per column: every column of the frame is one contiguous stretch of memory.
    table = np.full((len(names), field.numbers.size), np.nan)
    at = 0
    for compartment in field.compartments.values():
        rows = np.searchsorted(field.numbers, compartment.objects.numbers)
        for name in chosen:
            if name == TRANSLOCATION:
                continue
            width = len(FAMILIES[name].names(compartment.name, channels))
            if rows.size:
                table[at : at + width, rows] = FAMILIES[name].measure(compartment).T
            at += width
    if at < len(names) and field.numbers.size:
        table[at:] = translocation.measure(field).T
    columns = {OBJECT: field.numbers} | dict(zip(names, table, strict=True))
    return pl.DataFrame(columns)


def compile_kernels() -> None:
    """Compile every kernel, or load it from the cache beside the code; a minute the first time.

    Call it once before starting many workers on a fresh installation: they then share the result.
    """
    mask = np.zeros((16, 16), np.int32)
    mask[2:9, 2:9], mask[2:9, 9:14] = 1, 2
    ramp = np.arange(512).reshape(2, 16, 16)
    for dtype in (np.uint8, np.uint16, np.float64):
        measure(ramp.astype(dtype), ("A", "B"), {"Nuclei": mask, "Cytoplasm": mask}, "full")


def feature_names(
    channels: Sequence[str],
    compartments: Iterable[str],
    families: str | Iterable[str] | None = None,
) -> list[str]:
    """Names of the feature columns of `measure`, in its order, without the object number."""
    compartments = tuple(compartments)
    chosen = chosen_families(families)
    names: list[FeatureName] = []
    for compartment in compartments:
        for name in chosen:
            if name != TRANSLOCATION:
                names += FAMILIES[name].names(compartment, channels)
    if TRANSLOCATION in chosen:
        names += translocation.names(compartments, channels)
    return [str(name) for name in names]
