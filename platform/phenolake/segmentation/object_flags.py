"""Which objects of a plate are cut, dirt, too small, too large or out of focus, and why."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

Reason = Literal["border", "debris", "too_small", "too_large", "out_of_focus", "orphan"]
Compartment = Literal["Nuclei", "Cells", "Cytoplasm"]

#: Flag of `objects` -> reason, in the order in which reasons are written.
FLAGS: dict[str, Reason] = {
    "is_border": "border",
    "is_debris": "debris",
    "is_too_small": "too_small",
    "is_too_large": "too_large",
    "is_out_of_focus": "out_of_focus",
    "is_orphan": "orphan",
}


class ObjectLimits(BaseModel):
    """Limits of objects: `objects` in screen.yaml. Flags never delete; `exclude` chooses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    smallest: float = Field(
        0.2, ge=0, le=1, description="too small: below this part of the plate's median area"
    )
    largest: float = Field(
        5.0, ge=1, description="too large: above so many times the plate's median area"
    )
    bright: float = Field(
        4.0, ge=1, description="bright as dirt: above so many times the plate's median brightness"
    )
    irregular: float = Field(
        0.85, ge=0, le=1, description="irregular: fills less of the ellipse with its moments"
    )
    blurred: float = Field(
        1.6, ge=1, description="out of focus: edge so many times as wide as the plate's median"
    )
    exclude: tuple[Reason, ...] = Field(
        # Dirt is no cell. Cut cells count as cells, and a median over a well bears the few.
        ("debris",),
        description="reasons for which a cell is left out of profiles; its rows stay in every table",
    )
    compartments: tuple[Compartment, ...] = Field(
        # As in CellProfiler, a cell whose body is cut but whose nucleus is whole counts.
        ("Nuclei",),
        description="compartments whose objects decide",
    )


def flag_objects(rows: pl.DataFrame, limits: ObjectLimits | None = None) -> pl.DataFrame:
    """Add the flags, `reason` and `is_usable` to the rows of `describe_objects` of one plate.

    Sizes, brightness and edges are judged against the median of the compartment over all rows.
    Debris: a nucleus that is odd in two ways of three: small (below half the median area),
    irregular, bright. Orphan: a nucleus or cytoplasm without a cell, or a
    cell without a nucleus. `is_usable` is false for a reason in `exclude`, in compartments that
    decide.
    """
    limits = limits or ObjectLimits()
    area = pl.col("area") / _median("area")
    bright = (pl.col("mean_intensity") > limits.bright * _median("mean_intensity")).fill_null(False)
    small, irregular = area < 0.5, pl.col("ellipse_fill") < limits.irregular
    nuclear = pl.col("compartment") == "Nuclei"
    odd = small.cast(pl.Int8) + irregular.cast(pl.Int8) + bright.cast(pl.Int8)
    wide = pl.col("edge_width_px").fill_nan(None)
    flagged = rows.with_columns(
        # Cytoplasm is a ring: neither its shape nor its edge says anything.
        is_debris=(odd >= 2) & nuclear,
        is_too_small=area < limits.smallest,
        is_too_large=area > limits.largest,
        is_out_of_focus=(wide > limits.blurred * wide.median().over("compartment")).fill_null(False)
        & nuclear,
        is_orphan=(pl.col("parent_compartment").is_not_null() & pl.col("parent_number").is_null())
        | (pl.col("nuclei_count") == 0).fill_null(False),
    )
    reasons = [pl.when(flag).then(pl.lit(reason)) for flag, reason in FLAGS.items()]
    decisive = [pl.col(flag) for flag, reason in FLAGS.items() if reason in limits.exclude]
    excluded = pl.any_horizontal(decisive) if decisive else pl.lit(False)
    reason = pl.concat_str(reasons, separator=", ", ignore_nulls=True)
    return flagged.with_columns(
        reason=pl.when(reason != "").then(reason),
        is_usable=~(excluded & pl.col("compartment").is_in(limits.compartments)),
    )


def excluded_cells(objects: pl.DataFrame) -> pl.DataFrame:
    """Well, site and number of cells that the rule leaves out: no usable object in a compartment."""
    keys = ["Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber"]
    schema = {"Metadata_Well": pl.String, "Metadata_Site": pl.Int32, keys[2]: pl.Int32}
    if "is_usable" not in objects.columns:
        return pl.DataFrame(schema=schema)
    return (
        objects.group_by(*keys, "compartment")
        .agg(pl.col("is_usable").fill_null(True).any())
        .filter(~pl.col("is_usable"))
        .select(keys)
        .unique()
        .sort(keys)
    )


def _median(column: str) -> pl.Expr:
    return pl.col(column).median().over("compartment")
