"""From wells of all plates to corrected profiles: fit every version of the recipe, then apply it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from phenolake.correction import FeaturesDroppedWarning
from phenolake.errors import ConfigurationError, ControlsMissingError
from phenolake.profiling import (
    FittedRecipe,
    Recipe,
    feature_columns,
    follow_recipe,
    recipe_named,
)
from phenolake.profiling.fitted_steps import DROPPED_SCHEMA
from phenolake.stages.reference import CONTROLS, Reference

_BATCH = "Metadata_CorrectionBatch"


@dataclass(frozen=True)
class Version:
    """One version of the corrected profiles: its name, the correction, and the adjustments."""

    name: str
    method: str
    adjustments: tuple[str, ...]


@dataclass(frozen=True)
class Fit:
    """A version fitted on a screen: the recipe, what it dropped, and the profiles it was fitted on."""

    version: Version
    fitted: FittedRecipe
    dropped: pl.DataFrame
    profiles: pl.DataFrame


@dataclass(frozen=True)
class Corrected:
    """Profiles of every version, stacked, and what was dropped on the way, by version."""

    profiles: pl.DataFrame
    dropped: pl.DataFrame


def versions_of(methods: Sequence[str], adjustments: Sequence[str] = ()) -> list[Version]:
    """Every correction as it is; with adjustments, every correction once more after them."""
    steps = tuple(dict.fromkeys(adjustments))
    return [
        Version("+".join((method, *taken)), method, taken)
        for taken in dict.fromkeys(((), steps))
        for method in dict.fromkeys(methods)
    ]


def steps_of(recipe: str | Recipe, version: Version) -> str:
    """Every step of a version of a recipe, as JSON."""
    steps = recipe_named(recipe).with_adjustments(version.adjustments)
    return json.dumps(steps.with_correction(version.method).steps)


def fit_screen(
    well_profiles: pl.DataFrame,
    versions: Sequence[Version],
    recipe: str | Recipe = "moa_default",
    reference: Reference = CONTROLS,
) -> Iterator[Fit]:
    """Every version of a recipe fitted on the wells of a screen, one after the other.

    Plates that the plate map puts in no batch are batches of their own.

    Raises
    ------
    ControlsMissingError
        If the screen, or one of its plates, has no reference well; names it.
    ConfigurationError
        If the recipe leaves no feature; says why.
    """
    wells = reference.wells
    if wells is not None and well_profiles.filter(wells).is_empty():
        raise ControlsMissingError("batch correction", "the screen", reference.name)
    profiles = _with_batch(well_profiles)
    started: tuple[str, ...] | None = None
    for version in versions:
        steps = recipe_named(recipe).with_adjustments(version.adjustments)
        if started != version.adjustments:
            started = version.adjustments
            start = follow_recipe(profiles, steps.until_correction, wells, _BATCH)
            if not feature_columns(start.profiles):
                raise ConfigurationError(_nothing_left(steps.name, start.dropped))
        with warnings.catch_warnings():
            # They are listed in `dropped`.
            warnings.simplefilter("ignore", FeaturesDroppedWarning)
            rest = follow_recipe(
                start.profiles, steps.from_correction(version.method), wells, _BATCH
            )
        later = rest.dropped.with_columns(
            (pl.col("step") + len(steps.until_correction.steps)).cast(DROPPED_SCHEMA["step"])
        )
        fitted = start.fitted.then(rest.fitted)
        profiles_now = _labelled(rest.profiles, version.name, fitted, reference)
        yield Fit(version, fitted, pl.concat([start.dropped, later]), profiles_now)


def correct_screen(
    well_profiles: pl.DataFrame,
    methods: Sequence[str],
    recipe: str | Recipe = "moa_default",
    reference: Reference = CONTROLS,
    adjustments: Sequence[str] = (),
) -> Corrected:
    """Profiles of a screen after a recipe, once with each batch correction in its place.

    With adjustments, every correction once more after them. Errors are those of `fit_screen`.
    """
    versions = versions_of(methods, adjustments)
    fits = list(fit_screen(well_profiles, versions, recipe, reference))
    dropped = [
        fit.dropped.with_columns(pl.lit(fit.version.name).alias("correction")) for fit in fits
    ]
    return Corrected(pl.concat([fit.profiles for fit in fits], how="diagonal"), pl.concat(dropped))


def transform_screen(
    well_profiles: pl.DataFrame,
    version: str,
    fitted: FittedRecipe,
    reference: Reference = CONTROLS,
) -> pl.DataFrame:
    """Profiles of plates by a version that was fitted before, on these plates or on others."""
    profiles = fitted.transform(_with_batch(well_profiles), reference.wells)
    return _labelled(profiles, version, fitted, reference)


def _with_batch(well_profiles: pl.DataFrame) -> pl.DataFrame:
    batch = pl.coalesce("Metadata_Batch", "Metadata_Plate").alias(_BATCH)
    return well_profiles.with_columns(batch)


def _labelled(
    profiles: pl.DataFrame, version: str, fitted: FittedRecipe, reference: Reference
) -> pl.DataFrame:
    return profiles.drop(_BATCH).with_columns(
        pl.lit(version).alias("Metadata_Correction"),
        pl.lit(json.dumps(fitted.recipe.steps)).alias("Metadata_Recipe"),
        pl.lit(reference.name).alias("Metadata_Reference"),
    )


def _nothing_left(recipe: str, dropped: pl.DataFrame) -> str:
    reasons = dropped["reason"].value_counts(sort=True).iter_rows()
    counts = ", ".join(f"{count} x {reason}" for reason, count in reasons) or "there was none"
    return (
        f"recipe {recipe!r} leaves no feature: {counts}. Features without spread among the negative "
        "controls (or all wells, where those are the reference) count as missing; a plate needs two control "
        "wells with cells to show any"
    )
