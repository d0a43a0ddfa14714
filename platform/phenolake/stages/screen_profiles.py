"""From wells of all plates to corrected and consensus profiles of a screen."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from phenolake.correction import FeaturesDroppedWarning, incomplete_features
from phenolake.errors import ConfigurationError, ControlsMissingError, TableMissingError
from phenolake.evaluation.mechanism import moa_accuracy
from phenolake.lake import Lake
from phenolake.profiling import Recipe, consensus, feature_columns, follow_recipe, recipe_named
from phenolake.profiling.fitted_steps import DROPPED_SCHEMA
from phenolake.stages.reference import CONTROLS, Reference

_TREATMENT = (
    "Metadata_Screen",
    "Metadata_Perturbation",
    "Metadata_Concentration",
    "Metadata_ConcentrationUnit",
    "Metadata_ControlType",
    "Metadata_MOA",
)
_BATCH = "Metadata_CorrectionBatch"


@dataclass(frozen=True)
class Start:
    """Profiles that a screen's recipe starts from, their table and version, and the steps left."""

    profiles: pl.DataFrame
    recipe: Recipe
    table: str
    version: int


def start_of(lake: Lake, where: Mapping[str, str], recipe: str) -> Start:
    """Well profiles of a screen; where only normalized ones were imported, those.

    Of several normalizations the one with most features is taken. Steps of the recipe that
    normalize are left out then.

    Raises
    ------
    TableMissingError
        If the screen has neither.
    """
    steps = recipe_named(recipe)
    for name in ("well_profiles", "normalized_profiles"):
        rows = lake.read(name, where) if lake.exists(name) else pl.DataFrame()
        if rows.height and name == "well_profiles":
            return Start(rows, steps, name, lake.version(name))
        if rows.height:
            return Start(_widest(rows), steps.without("normalize"), name, lake.version(name))
    raise TableMissingError("well_profiles", lake.uri)


def _widest(normalized: pl.DataFrame) -> pl.DataFrame:
    parts = [part for _, part in normalized.group_by("Metadata_Normalization", maintain_order=True)]
    parts = [
        part.drop(
            [
                n
                for n in part.columns
                if part[n].null_count() == part.height and n in feature_columns(part)
            ]
        )
        for part in parts
    ]
    return max(parts, key=lambda part: len(feature_columns(part)))


@dataclass(frozen=True)
class Corrected:
    """Profiles of every correction, stacked, and what was dropped on the way, by correction."""

    profiles: pl.DataFrame
    dropped: pl.DataFrame


def correct_screen(
    well_profiles: pl.DataFrame,
    methods: Sequence[str],
    recipe: str | Recipe = "moa_default",
    reference: Reference = CONTROLS,
) -> Corrected:
    """Profiles of a screen after a recipe, once with each batch correction in its place.

    Plates that the plate map puts in no batch are batches of their own.

    Raises
    ------
    ControlsMissingError
        If the screen, or one of its plates, has no reference well; names it.
    """
    wells = reference.wells
    if wells is not None and well_profiles.filter(wells).is_empty():
        raise ControlsMissingError("batch correction", "the screen", reference.name)
    steps = recipe_named(recipe)
    batch = pl.coalesce("Metadata_Batch", "Metadata_Plate").alias(_BATCH)
    start = follow_recipe(well_profiles.with_columns(batch), steps.until_correction, wells, _BATCH)
    if not feature_columns(start.profiles):
        raise ConfigurationError(_nothing_left(steps.name, start.dropped))
    offset = len(steps.until_correction.steps)
    profiles, dropped = [], [start.dropped.with_columns(pl.lit("all").alias("correction"))]
    for method in dict.fromkeys(methods):
        with warnings.catch_warnings():
            # They are listed in `dropped`.
            warnings.simplefilter("ignore", FeaturesDroppedWarning)
            rest = follow_recipe(start.profiles, steps.from_correction(method), wells, _BATCH)
        profiles.append(
            rest.profiles.with_columns(
                pl.lit(method).alias("Metadata_Correction"),
                pl.lit(json.dumps(steps.with_correction(method).steps)).alias("Metadata_Recipe"),
                pl.lit(reference.name).alias("Metadata_Reference"),
            )
        )
        dropped.append(
            rest.dropped.with_columns(
                (pl.col("step") + offset).cast(DROPPED_SCHEMA["step"]),
                pl.lit(method).alias("correction"),
            )
        )
    return Corrected(pl.concat(profiles, how="diagonal").drop(_BATCH), pl.concat(dropped))


def _nothing_left(recipe: str, dropped: pl.DataFrame) -> str:
    reasons = dropped["reason"].value_counts(sort=True).iter_rows()
    counts = ", ".join(f"{count} x {reason}" for reason, count in reasons) or "there was none"
    return (
        f"recipe {recipe!r} leaves no feature: {counts}. Features without spread among the negative "
        "controls (or all wells, where those are the reference) count as missing; a plate needs two control "
        "wells with cells to show any"
    )


def selection_of(
    well_profiles: pl.DataFrame,
    recipe: str | Recipe = "moa_default",
    reference: Reference = CONTROLS,
) -> pl.DataFrame:
    """Features that a recipe drops before the batch correction, or that the correction can't use."""
    steps = recipe_named(recipe).until_correction
    result = follow_recipe(well_profiles, steps, reference.wells)
    gaps = incomplete_features(result.profiles)
    number = len(steps.steps) + 1
    unusable = pl.DataFrame(
        [(number, name, "correct", "missing in some well", None) for name in gaps],
        schema=DROPPED_SCHEMA,
        orient="row",
    )
    return pl.concat([result.dropped, unusable]).select(
        pl.lit(recipe_named(recipe).name).alias("recipe"),
        pl.all().exclude("value"),
        pl.col("value").fill_nan(None),
    )


def profiles_of(corrected: pl.DataFrame, method: str) -> pl.DataFrame:
    """Profiles of one correction, without the columns that only others have."""
    chosen = corrected.filter(pl.col("Metadata_Correction") == method)
    foreign = [
        name for name in feature_columns(chosen) if chosen[name].null_count() == chosen.height
    ]
    return chosen.drop(foreign)


def consensus_of(corrected: pl.DataFrame) -> pl.DataFrame:
    """Median profile of each perturbation and dose, for each correction."""
    by = [*_TREATMENT, "Metadata_Correction"]
    features = [name for name in corrected.columns if not name.startswith("Metadata_")]
    profiles = consensus(corrected.select(*by, *features), by=by, method="median")
    counts = corrected.group_by(by).agg(
        pl.len().cast(pl.Int64).alias("Metadata_WellCount"),
        pl.col("Metadata_CellCount").sum().cast(pl.Int64),
    )
    profiles = profiles.drop("Metadata_WellCount", "Metadata_CellCount", strict=False)
    return (
        profiles.join(counts, on=by, how="left", nulls_equal=True)
        .select(*by, "Metadata_WellCount", "Metadata_CellCount", *features)
        .sort(by)
    )


def mechanism_accuracy(consensus_profiles: pl.DataFrame) -> dict[str, float]:
    """Share of treatments whose nearest profile of another compound has their mechanism (NSC).

    By correction; over treatments whose mechanism at least two compounds share.
    """
    treated = consensus_profiles.filter(
        (pl.col("Metadata_ControlType") != "negcon") & pl.col("Metadata_MOA").is_not_null()
    )
    compounds = pl.col("Metadata_Perturbation").n_unique().over("Metadata_MOA")
    treated = treated.filter(compounds >= 2)
    return {
        str(method): round(moa_accuracy(rows, scheme="NSC").accuracy, 4)
        for (method,), rows in treated.sort("Metadata_Correction").group_by(
            ["Metadata_Correction"], maintain_order=True
        )
    }
