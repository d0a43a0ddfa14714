"""The labelled cells of a screen that models learn from, and their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from phenolake.errors import TrainingDataError, UnknownNameError
from phenolake.features.naming import is_position
from phenolake.identity import BATCH, OBJECT, PLATE, SCREEN, WELL
from phenolake.modeling.active_learning import annotation_columns, read_annotations

NEGATIVE_CONTROL = "negative control"

CELL_KEYS = [
    "Metadata_Screen",
    "Metadata_Batch",
    "Metadata_Plate",
    "Metadata_Well",
    "Metadata_Site",
    "Metadata_ObjectNumber",
]
WELL_KEYS = ["Metadata_Plate", "Metadata_Well"]

#: What may be held out of a training, and the column that names it.
HELD_OUT = {"well": WELL, "plate": PLATE, "batch": BATCH, "compound": "Metadata_Perturbation"}


def label_wells(plate_map: pl.DataFrame, labels: str) -> pl.DataFrame:
    """The class of each labelled well: Metadata_Plate, Metadata_Well and `label`.

    `labels` is `moa` or `perturbation`; negative controls are one class of their own. A plate map
    without mechanisms falls back to perturbations. Empty and unlabelled wells are left out.
    """
    by_mechanism = labels == "moa" and plate_map["Metadata_MOA"].is_not_null().any()
    column = "Metadata_MOA" if by_mechanism else "Metadata_Perturbation"
    label = (
        pl.when(pl.col("Metadata_ControlType") == "negcon")
        .then(pl.lit(NEGATIVE_CONTROL))
        .otherwise(pl.col(column))
    )
    return (
        plate_map.filter(pl.col("Metadata_ControlType") != "empty")
        .select(*WELL_KEYS, label.alias("label"))
        .drop_nulls("label")
    )


@dataclass(frozen=True, eq=False)
class AnnotatedCells:
    """Keys and `label` of the cells that a file labels; `missing`: what it names and is not there."""

    cells: pl.DataFrame
    missing: pl.DataFrame

    @property
    def note(self) -> str:
        """How many labels were found and which were not, as a sentence."""
        found = f"{self.cells.height} cells have a label from the annotations"
        if self.missing.is_empty():
            return found
        first = " ".join(str(value) for value in self.missing.drop("label").row(0))
        return f"{found}; {self.missing.height} label(s) are of what is not there, such as {first}"


def annotated_cells(path: Path, cells: pl.LazyFrame) -> AnnotatedCells:
    """The cells that a CSV file labels: one by one, or all cells of the wells it names.

    Parameters
    ----------
    path
        Columns `label`, Metadata_Plate and Metadata_Well; with Metadata_Site and
        Metadata_ObjectNumber a row is one cell. With Metadata_Screen, rows of other screens count
        as missing.

    Raises
    ------
    TrainingDataError
        If the file can't be read or contradicts itself, or no label is of a cell that is there.
    """
    columns = annotation_columns(path)
    place = CELL_KEYS[2:] if OBJECT in columns else WELL_KEYS
    place = [SCREEN, *place] if SCREEN in columns else place
    keys = cells.select(CELL_KEYS).collect()
    labels = read_annotations(path, place).with_columns(
        pl.col(name).cast(keys.schema[name], strict=False) for name in place
    )
    found = keys.unique(maintain_order=True).join(labels, on=place, how="inner")
    if found.is_empty():
        raise TrainingDataError(f"{path}: none of its {labels.height} labels is of a cell there is")
    return AnnotatedCells(found, labels.join(keys, on=place, how="anti"))


def true_labels(
    classes: Sequence[str], wells: pl.DataFrame, annotated: pl.DataFrame | None
) -> pl.DataFrame:
    """What a model's cells are called by people: key columns of cells or wells, and `label`.

    For a model that knows a class of the annotations these are the annotated cells, and no others
    have a label; for any other model, the classes of the plate map's `wells`.
    """
    if annotated is None or not annotated["label"].is_in(list(classes)).any():
        return wells.select(*WELL_KEYS, "label")
    return annotated.select(*CELL_KEYS[2:], "label")


def held_out_by(
    keys: pl.DataFrame, held_out: str, plate_map: pl.DataFrame
) -> tuple[pl.DataFrame, str]:
    """Key columns that a split by wells, plates, batches or compounds needs, and the column to split by.

    Raises
    ------
    UnknownNameError
        If `held_out` is none of these.
    """
    if held_out not in HELD_OUT:
        raise UnknownNameError("held-out group", held_out, HELD_OUT)
    column = HELD_OUT[held_out]
    if column not in keys.columns:
        treatments = plate_map.select(*WELL_KEYS, column)
        keys = keys.join(treatments, on=WELL_KEYS, how="left", maintain_order="left")
    return keys, column


def draw_cells(cells: pl.LazyFrame, wells: pl.DataFrame, per_class: int, seed: int) -> pl.DataFrame:
    """Keys and `label` of up to `per_class` cells of each labelled class of wells.

    Only key columns are read; see `draw_labelled`.
    """
    keys = cells.select(CELL_KEYS).collect().join(wells, on=WELL_KEYS, how="inner")
    return draw_labelled(keys, per_class, seed)


def draw_labelled(
    labelled: pl.DataFrame, per_class: int, seed: int, keys: Sequence[str] = CELL_KEYS
) -> pl.DataFrame:
    """Up to `per_class` rows of each `label`, the same for the same seed.

    `keys` are the columns that tell rows apart, of cells or of fields. Classes with fewer than two
    wells are left out: none could be held out to judge the model.
    """
    well = pl.struct(WELL_KEYS)
    ticket = pl.concat_str([pl.lit(str(seed)), *keys], ignore_nulls=True).hash()
    return (
        labelled.filter(well.n_unique().over("label") >= 2)
        .with_columns(ticket=ticket)
        .sort("ticket")
        .group_by("label", maintain_order=True)
        .head(per_class)
        .sort(keys)
        .select(*keys, "label")
    )


def features_of(cells: pl.LazyFrame, drawn: pl.DataFrame) -> pl.DataFrame:
    """Keys, `label` and features of the drawn cells; positions are left out, since they leak wells."""
    names = [
        name
        for name in cells.collect_schema().names()
        if not name.startswith("Metadata_") and not is_position(name)
    ]
    place = CELL_KEYS[2:]
    wanted = drawn.lazy().select(*CELL_KEYS, "label")
    rows = cells.select(*place, *names).join(wanted, on=place, how="inner")
    return rows.select(*CELL_KEYS, "label", *names).collect(engine="streaming").sort(CELL_KEYS)
