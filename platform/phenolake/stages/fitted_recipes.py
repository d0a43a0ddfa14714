"""Fitted recipes of a screen as rows of a table: made, kept, and found again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.profiling import FittedRecipe
from phenolake.profiling.feature_matrix import key_columns
from phenolake.stages.reference import reference_named
from phenolake.stages.screen_correction import (
    Version,
    fit_screen,
    steps_of,
    transform_screen,
    versions_of,
)
from phenolake.stages.screen_profiles import Start
from phenolake.tables import FITTED_RECIPES


def fits_of(
    start: Start,
    methods: Sequence[str],
    adjustments: Sequence[str] = (),
    kept: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Rows of `fitted_recipes`, one per version of the profiles.

    Rows of `kept` stay as they are where their steps and reference are still those of the screen;
    the other versions are fitted on the plates of `start`.
    """
    versions = versions_of(methods, adjustments)
    rows = pl.DataFrame(FITTED_RECIPES.arrow_schema().empty_table())
    if kept is not None and not kept.is_empty():
        wanted = {version.name: steps_of(start.recipe, version) for version in versions}
        rows = kept.filter(
            pl.col("Metadata_Correction").is_in(list(wanted))
            & (
                pl.col("steps")
                == pl.col("Metadata_Correction").replace_strict(wanted, default=None)
            )
            & (pl.col("reference") == start.reference.name)
        ).select(rows.columns)
    there = set(rows["Metadata_Correction"])
    missing = [version for version in versions if version.name not in there]
    new = pl.DataFrame(list(_fitted(start, missing)), schema=rows.schema)
    return pl.concat([rows, new]).sort("Metadata_Correction")


def _fitted(start: Start, versions: Sequence[Version]) -> Iterator[dict[str, object]]:
    plates = start.profiles["Metadata_Plate"].unique().sort().to_list()
    for fit in fit_screen(start.profiles, versions, start.recipe, start.reference):
        yield {
            "Metadata_Screen": start.profiles["Metadata_Screen"][0],
            "Metadata_Correction": fit.version.name,
            "recipe": fit.fitted.recipe.name,
            "steps": steps_of(start.recipe, fit.version),
            "reference": start.reference.name,
            "plates": plates,
            "wells": start.profiles.height,
            "features_dropped": fit.dropped.height,
            "input_table": start.table,
            "input_version": start.version,
            "fit": fit.fitted.to_bytes(),
        }


def corrected_by(
    fits: pl.DataFrame, start: Start, methods: Sequence[str], adjustments: Sequence[str] = ()
) -> pl.DataFrame:
    """Profiles of the plates of `start` by every version of the screen, stacked.

    Raises
    ------
    ConfigurationError
        If a version was not fitted yet.
    """
    stored = dict(fits.select("Metadata_Correction", "fit").iter_rows())
    parts = []
    for version in versions_of(methods, adjustments):
        if version.name not in stored:
            raise ConfigurationError(
                f"correction {version.name!r} is not among the fitted recipes "
                f"({', '.join(sorted(stored)) or 'none'}); materialize fitted_recipes again"
            )
        fitted = FittedRecipe.from_bytes(stored[version.name], f"fit of {version.name}")
        parts.append(transform_screen(start.profiles, version.name, fitted, start.reference))
    return pl.concat(parts, how="diagonal").with_columns(
        pl.lit(start.table).alias("Metadata_InputTable"),
        pl.lit(start.version, pl.Int64).alias("Metadata_InputVersion"),
    )


def correct_later(fits: pl.DataFrame, version: str, wells: pl.DataFrame) -> pl.DataFrame:
    """Profiles of plates that a screen does not have, by one of its fitted versions.

    Parameters
    ----------
    fits
        Rows of `fitted_recipes` of one screen.
    version
        Correction method, with the adjustments if it has some, as in `Metadata_Correction`.
    wells
        A row per well of whole plates, as in `well_profiles`; without `Metadata_Batch` each plate
        is a batch of its own.

    Raises
    ------
    UnknownNameError
        If the version was not fitted, or a column is missing.
    ControlsMissingError
        If a plate has no reference well; names it.
    """
    stored = {row["Metadata_Correction"]: row for row in fits.iter_rows(named=True)}
    if version not in stored:
        raise UnknownNameError("fitted correction", version, stored)
    row = stored[version]
    key_columns(wells, ("Metadata_Plate", "Metadata_ControlType"))
    plate = pl.col("Metadata_Plate").cast(pl.String)
    if "Metadata_Batch" not in wells.columns:
        wells = wells.with_columns(pl.lit(None, pl.String).alias("Metadata_Batch"))
    named = wells.with_columns(plate, pl.col("Metadata_Batch").cast(pl.String))
    fitted = FittedRecipe.from_bytes(row["fit"], f"fit of {version}")
    return transform_screen(named, version, fitted, reference_named(row["reference"]))
