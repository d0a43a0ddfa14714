"""From wells of all plates to corrected and consensus profiles of a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from phenolake.correction import incomplete_features
from phenolake.errors import TableMissingError
from phenolake.evaluation.mechanism import moa_accuracy
from phenolake.lake import Lake
from phenolake.profiling import Recipe, consensus, feature_columns, follow_recipe, recipe_named
from phenolake.profiling.fitted_steps import DROPPED_SCHEMA
from phenolake.stages.reference import CONTROLS, Reference, Rule, plates_without, reference_of

_TREATMENT = (
    "Metadata_Screen",
    "Metadata_Perturbation",
    "Metadata_Concentration",
    "Metadata_ConcentrationUnit",
    "Metadata_ControlType",
    "Metadata_MOA",
)


@dataclass(frozen=True)
class Start:
    """What a screen's recipe starts from.

    Attributes
    ----------
    profiles
        Wells of the plates that can be normalized.
    recipe
        The steps left.
    table, version
        Where the profiles come from.
    reference
        Wells that they are compared with.
    left_out
        Plates with too few reference wells, where others have enough, and how many they have.
    all_profiles
        Wells of all plates.
    """

    profiles: pl.DataFrame
    recipe: Recipe
    table: str
    version: int
    reference: Reference
    left_out: Mapping[str, int]
    all_profiles: pl.DataFrame


def start_of(lake: Lake, where: Mapping[str, str], recipe: str, rule: Rule = "auto") -> Start:
    """Well profiles of a screen; where only normalized ones were imported, those.

    Of several normalizations the one with most features is taken. Steps of the recipe that
    normalize are left out then. Plates without reference wells are left out where others have
    them, so that one bad plate does not stop a screen.

    Raises
    ------
    TableMissingError
        If the screen has neither.
    """
    steps = recipe_named(recipe)
    for name in ("well_profiles", "normalized_profiles"):
        rows = lake.read(name, where) if lake.exists(name) else pl.DataFrame()
        if rows.is_empty():
            continue
        version = lake.version(name)
        reference = reference_of(rows, rule)
        if name == "normalized_profiles":
            rows = _widest(rows)
            return Start(rows, steps.without("normalize"), name, version, reference, {}, rows)
        left_out = plates_without(rows, reference)
        usable = rows.filter(~pl.col("Metadata_Plate").is_in(list(left_out)))
        return Start(usable, steps, name, version, reference, left_out, rows)
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


def selection_of(
    well_profiles: pl.DataFrame,
    recipe: str | Recipe = "moa_default",
    reference: Reference = CONTROLS,
    adjustments: Sequence[str] = (),
) -> pl.DataFrame:
    """Features that a recipe drops before the batch correction, or that the correction can't use.

    With adjustments, also those of the recipe that has them.
    """
    parts = []
    for taken in dict.fromkeys(((), tuple(adjustments))):
        steps = recipe_named(recipe).with_adjustments(taken)
        result = follow_recipe(well_profiles, steps.until_correction, reference.wells)
        gaps = incomplete_features(result.profiles)
        number = len(steps.until_correction.steps) + 1
        unusable = pl.DataFrame(
            [(number, name, "correct", "missing in some well", None) for name in gaps],
            schema=DROPPED_SCHEMA,
            orient="row",
        )
        parts.append(
            pl.concat([result.dropped, unusable]).select(
                pl.lit(steps.name).alias("recipe"),
                pl.all().exclude("value"),
                pl.col("value").fill_nan(None),
            )
        )
    return pl.concat(parts)


def profiles_of(corrected: pl.DataFrame, method: str) -> pl.DataFrame:
    """Profiles of one correction, without the columns that only others have."""
    chosen = corrected.filter(pl.col("Metadata_Correction") == method)
    foreign = [
        name for name in feature_columns(chosen) if chosen[name].null_count() == chosen.height
    ]
    return chosen.drop(foreign)


def consensus_of(corrected: pl.DataFrame, method: str = "median") -> pl.DataFrame:
    """One profile of each perturbation and dose, for each correction.

    `method` is `median`, `modz` or `mean`, as of `profiling.consensus`.
    """
    by = [*_TREATMENT, "Metadata_Correction"]
    features = feature_columns(corrected)
    # Each version by itself: some have features that others lack.
    parts = [
        consensus(
            profiles_of(corrected, str(name)).select(*by, pl.exclude("^Metadata_.*$")), by, method
        )
        for name in corrected["Metadata_Correction"].unique().sort()
    ]
    profiles = pl.concat(parts, how="diagonal")
    counts = corrected.group_by(by).agg(
        pl.len().cast(pl.Int64).alias("Metadata_WellCount"),
        pl.col("Metadata_CellCount").sum().cast(pl.Int64),
    )
    profiles = profiles.drop("Metadata_WellCount", "Metadata_CellCount", strict=False)
    return (
        profiles.join(counts, on=by, how="left", nulls_equal=True)
        .with_columns(pl.lit(method).alias("Metadata_Consensus"))
        .select(*by, "Metadata_Consensus", "Metadata_WellCount", "Metadata_CellCount", *features)
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
