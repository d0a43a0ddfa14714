"""Which single cells to show: typical ones of a class or treatment, and counter examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from phenolake.profiling.feature_matrix import feature_columns
from phenolake.service.reading import LakeReader

_KEYS = ["Metadata_Plate", "Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber"]
_MOST_FEATURES = 60


@dataclass(frozen=True)
class Examples:
    """Cells of one kind with `center_y`, `center_x` and words about each."""

    heading: str
    cells: pl.DataFrame


def class_examples(
    reader: LakeReader, screen: str, model: str, label: str, count: int
) -> list[Examples]:
    """Cells a model is surest of, cells it is least sure of, and cells of the class it missed."""
    rows = reader.read("model_predictions", {"Metadata_Screen": screen})
    rows = rows.filter(pl.col("model_name") == model)
    rows = rows.with_columns(
        pl.format(
            "{} {}, p {}", "Metadata_Plate", "Metadata_Well", pl.col("probability").round(2)
        ).alias("words")
    )
    given = rows.filter(pl.col("label") == label).sort("probability", descending=True)
    missed = rows.filter(pl.col("true_label") == label, pl.col("label") != label)
    missed = missed.sort("probability", descending=True)
    kinds = [
        Examples(f"Surest of {label}", given.head(count)),
        Examples(f"Least sure of {label}", given.tail(count)),
        Examples(f"Counter examples: treated as {label}, called otherwise", missed.head(count)),
    ]
    return [Examples(kind.heading, with_places(reader, screen, kind.cells)) for kind in kinds]


def treatment_examples(
    reader: LakeReader, screen: str, wells: pl.DataFrame, controls: pl.DataFrame, count: int
) -> list[Examples]:
    """Cells nearest the middle of a treatment, farthest from it, and of the controls beside it."""
    treated = _measured(reader, screen, wells)
    beside = _measured(reader, screen, controls)
    if treated.is_empty():
        return []
    near = _by_distance(treated)
    examples = [
        Examples("Typical cells", near.head(count)),
        Examples("Least typical cells", near.tail(count)),
    ]
    if not beside.is_empty():
        examples.append(
            Examples("Typical cells of the negative controls", _by_distance(beside).head(count))
        )
    return [Examples(e.heading, with_places(reader, screen, e.cells)) for e in examples]


def with_places(reader: LakeReader, screen: str, cells: pl.DataFrame) -> pl.DataFrame:
    """The cells with the centre of each nucleus; cells without one are left out."""
    parts = []
    for (plate,), rows in cells.group_by(["Metadata_Plate"], maintain_order=True):
        where = {"Metadata_Screen": screen, "Metadata_Plate": str(plate)}
        columns = [*_KEYS, "compartment", "part", "center_y", "center_x"]
        centres = reader.read("objects", where, columns)
        centres = centres.filter(pl.col("compartment") == "Nuclei", pl.col("part") == 1)
        centres = centres.select(*_KEYS, "center_y", "center_x")
        parts.append(rows.join(centres, on=_KEYS, maintain_order="left"))
    if not parts:
        return cells.clear().with_columns(center_y=pl.lit(0.0), center_x=pl.lit(0.0))
    return pl.concat(parts)


def _measured(reader: LakeReader, screen: str, wells: pl.DataFrame) -> pl.DataFrame:
    """Some sixty features of the wells' cells."""
    parts = []
    for (plate,), rows in wells.group_by(["Metadata_Plate"], maintain_order=True):
        where = {"Metadata_Screen": screen, "Metadata_Plate": str(plate)}
        try:
            names = feature_columns(reader.lake.scan("single_cell_features", where))
        except LookupError:
            continue
        step = max(1, len(names) // _MOST_FEATURES)
        cells = reader.read(
            "single_cell_features", where, ["Metadata_Screen", *_KEYS, *names[::step]]
        )
        parts.append(cells.filter(pl.col("Metadata_Well").is_in(rows["Metadata_Well"].implode())))
    return pl.concat(parts, how="diagonal") if parts else pl.DataFrame()


def _by_distance(cells: pl.DataFrame) -> pl.DataFrame:
    """Cells from the nearest to the median cell to the farthest, in robust SDs."""
    names = feature_columns(cells)
    values = cells.select(names).to_numpy().astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    with np.errstate(all="ignore"):
        centre = np.nanmedian(values, axis=0)
        spread = np.nanmedian(np.abs(values - centre), axis=0) * 1.4826
        scaled = (values - centre) / np.where(spread > 0, spread, np.nan)
        distance = np.sqrt(np.nanmean(np.minimum(scaled**2, 100), axis=1))
    order = pl.Series(np.where(np.isfinite(distance), distance, np.inf))
    words = pl.format("{} {}", "Metadata_Plate", "Metadata_Well")
    return (
        cells.select("Metadata_Screen", *_KEYS, words.alias("words"))
        .with_columns(order.alias("distance"))
        .sort("distance", maintain_order=True)
    )
