"""Measure every object of a field in all compartments and channels: one row per object number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phenolake.errors import ConfigurationError
from phenolake.features.field import Compartment, Field
from phenolake.features.presets import Selection
from phenolake.identity import OBJECT

if TYPE_CHECKING:
    import polars as pl


def measure(
    image: NDArray[np.generic],
    channels: Sequence[str],
    masks: Mapping[str, NDArray[np.integer]],
    families: str | Iterable[str] | None = None,
    *,
    pixel_size_um: float | None = None,
) -> pl.DataFrame:
    """One row per object number with the features of every compartment, CellProfiler's names.

    Parameters
    ----------
    image
        Integer or float, shape (channel, y, x) or (channel, z, y, x). Integers are divided by their dtype's maximum, as
        CellProfiler does; floats are taken as they are, 0..1 expected by Texture.
    channels
        Name of each channel, such as `DNA`.
    masks
        Compartment name to label image: integer, shape (y, x) or (z, y, x), 0 = background. Labels
        may have gaps; one number means one cell in all masks. Never changed.
    families
        `None` for the standard preset, a preset (`fast`, `standard`, `full`, `cytotoxicity_42`), or
        names of families, with their scales where they have any: `["AreaShape", "Texture:3,5"]`.
        Of z stacks shape, location, intensity and texture are measured.
    pixel_size_um
        Edge of a pixel; only measures in micrometres need it and are NaN without.

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

    if np.ndim(image) == 4:
        from phenolake.features.volume import measure_volume

        return measure_volume(image, channels, masks, families)
    selection = Selection.of(families)
    field = Field.checked(image, channels, masks, pixel_size_um)
    blocks = _column_blocks(channels, masks, selection)
    names = [name for block in blocks.values() for name in block]
    # One row per column: every column of the frame is one contiguous stretch of memory.
    table = np.full((len(names), field.numbers.size), np.nan)
    if field.numbers.size:
        _fill(table, field, selection, blocks)
    # Slices of one series spare the making of thousands.
    values, size = pl.Series(table.ravel()), field.numbers.size
    columns = {name: values.slice(i * size, size).alias(name) for i, name in enumerate(names)}
    if selection.columns is not None:
        columns = {name: columns[name] for name in _wanted(selection.columns, columns)}
    return pl.DataFrame([pl.Series(OBJECT, field.numbers), *columns.values()])


def _fill(
    table: NDArray[np.float64],
    field: Field,
    selection: Selection,
    blocks: dict[tuple[str, str], list[str]],
) -> None:
    """Write the values of every family and comparison into their rows of the table."""
    parts = [part for part in field.compartments.values() if part.objects.count]
    ends = np.cumsum([len(block) for block in blocks.values()])
    slots = {
        key: slice(end - len(block), end)
        for (key, block), end in zip(blocks.items(), ends, strict=True)
    }

    def put(part: Compartment, name: str, values: NDArray[np.float64]) -> None:
        rows = np.searchsorted(field.numbers, part.objects.numbers)
        table[slots[part.name, name], rows] = values.T

    families = selection.families
    for part in parts:
        for name, family in families.items():
            if not family.by_image and not family.by_object:
                put(part, name, family.measure(part))  # type: ignore[arg-type]
        for piece in part.pieces:
            for name, family in families.items():
                if family.by_object:
                    put(piece, name, family.measure(piece))  # type: ignore[arg-type]
            piece.forget_intensities()
        # A large field's pixel lists would add up over the compartments.
        part.forget_pixels()
    for name, family in selection.families.items():
        if family.by_image:
            for part, values in zip(parts, family.measure(parts), strict=True):
                put(part, name, values)
                part.forget_pixels()
    for name, comparison in selection.comparisons.items():
        if blocks["", name]:
            table[slots["", name]] = comparison.measure(field).T


def _wanted(columns: Sequence[str], measured: Iterable[str]) -> Sequence[str]:
    missing = [name for name in columns if name not in set(measured)]
    if missing:
        raise ConfigurationError(
            f"{len(missing)} of the preset's {len(columns)} columns can't be measured with these "
            f"channels and masks, e.g. {missing[0]}"
        )
    return columns


def compile_kernels() -> None:
    """Compile every kernel, or load it from the cache beside the code; a minute the first time.

    Call it once before starting many workers on a fresh installation: they then share the result.
    """
    mask = np.zeros((16, 16), np.int32)
    mask[2:9, 2:9], mask[2:9, 9:14] = 1, 2
    ramp = np.arange(512).reshape(2, 16, 16)
    for dtype in (np.uint8, np.uint16, np.float32, np.float64):
        image = ramp.astype(dtype)
        measure(image, ("A", "Mito"), {"Nuclei": mask, "Cytoplasm": mask}, "full Dimensions")
        measure(np.stack([image, image], 1), ("A", "Mito"), {"Nuclei": np.stack([mask, mask])})


def feature_names(
    channels: Sequence[str],
    compartments: Iterable[str],
    families: str | Iterable[str] | None = None,
) -> list[str]:
    """Names of the feature columns of `measure`, in its order, without the object number."""
    selection = Selection.of(families)
    blocks = _column_blocks(channels, compartments, selection)
    names = [name for block in blocks.values() for name in block]
    return names if selection.columns is None else list(_wanted(selection.columns, names))


def _column_blocks(
    channels: Sequence[str], compartments: Iterable[str], selection: Selection
) -> dict[tuple[str, str], list[str]]:
    """Column names by compartment and family, then by "" and comparison, in their order."""
    compartments = tuple(compartments)
    blocks = {
        (compartment, name): [str(column) for column in family.names(compartment, channels)]
        for compartment in compartments
        for name, family in selection.families.items()
    }
    for name, comparison in selection.comparisons.items():
        blocks["", name] = [str(column) for column in comparison.names(compartments, channels)]
    return blocks
