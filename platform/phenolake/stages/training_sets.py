"""The labelled cells of a screen that models learn from, and their features."""

from __future__ import annotations

import polars as pl

from phenolake.features.naming import is_position

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


def draw_cells(cells: pl.LazyFrame, wells: pl.DataFrame, per_class: int, seed: int) -> pl.DataFrame:
    """Keys and `label` of up to `per_class` cells of each class, the same for the same seed.

    Only key columns are read. Classes with fewer than two wells are left out: none could be held
    out to judge the model.
    """
    wells = wells.filter(pl.len().over("label") >= 2)
    keys = cells.select(CELL_KEYS).collect().join(wells, on=WELL_KEYS, how="inner")
    ticket = pl.concat_str([pl.lit(str(seed)), *CELL_KEYS], ignore_nulls=True).hash()
    return (
        keys.with_columns(ticket=ticket)
        .sort("ticket")
        .group_by("label", maintain_order=True)
        .head(per_class)
        .sort(CELL_KEYS)
        .select(*CELL_KEYS, "label")
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
