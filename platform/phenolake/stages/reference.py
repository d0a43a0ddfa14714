"""Which wells profiles are compared with: negative controls, or all wells where there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

IS_NEGATIVE_CONTROL = pl.col("Metadata_ControlType") == "negcon"

Rule = Literal["auto", "controls", "all"]


@dataclass(frozen=True)
class Reference:
    """The wells as an expression, None being all; their name; and a warning if they are a stopgap."""

    wells: pl.Expr | None
    name: str
    warning: str | None = None


CONTROLS = Reference(IS_NEGATIVE_CONTROL, "Metadata_ControlType == 'negcon'")
ALL_WELLS = Reference(None, "all wells")
_STOPGAP = Reference(
    None,
    "all wells",
    "no negative control among the wells: profiles are relative to all wells, which hides what most "
    "treatments share. Mark controls in the plate map, or set `reference: all` to say it is meant",
)


def reference_of(profiles: pl.DataFrame, rule: Rule = "auto") -> Reference:
    """Reference wells by the screen's rule; `auto` takes all wells only where no control is.

    Where some plates have controls and others have not, the controls are meant, and the others
    can't take part (`plates_without`): z-scores against different wells can't be compared.
    """
    if rule == "all":
        return ALL_WELLS
    if rule == "controls":
        return CONTROLS
    has_controls = profiles.select(IS_NEGATIVE_CONTROL.any()).item() is True
    return CONTROLS if has_controls else _STOPGAP


def reference_named(name: str) -> Reference:
    """Return the reference of that name, as tables keep it."""
    return ALL_WELLS if name == ALL_WELLS.name else CONTROLS


def plates_without(profiles: pl.DataFrame, reference: Reference) -> dict[str, int]:
    """Plates with fewer than two reference wells, and how many they have, where others have two.

    Two wells are the fewest that show any spread. Where no plate has two, none is named: then the
    screen is at fault, and normalizing says so.
    """
    if reference.wells is None:
        return {}
    counts = profiles.group_by("Metadata_Plate").agg(
        reference.wells.fill_null(False).sum().alias("wells")
    )
    few = counts.filter(pl.col("wells") < 2).sort("Metadata_Plate")
    return {} if few.height == counts.height else dict(few.iter_rows())
