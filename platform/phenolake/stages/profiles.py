"""From cells to profiles of wells: `well_profiles` and `normalized_profiles` of one plate."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from phenolake.images.quality_flags import unusable_sites
from phenolake.profiling import Recipe, aggregate, apply_recipe, heterogeneity
from phenolake.profiling.profile_settings import ProfileSettings
from phenolake.segmentation.object_flags import excluded_cells
from phenolake.stages.reference import CONTROLS, Reference

#: Both are kept side by side: SD for few controls, MAD where controls have outliers.
NORMALIZATIONS = ("standardize", "mad_robustize")


def profile_wells(
    cells: pl.LazyFrame,
    plate_map: pl.DataFrame,
    masks: pl.DataFrame,
    quality: pl.DataFrame | None = None,
    objects: pl.DataFrame | None = None,
    settings: ProfileSettings | None = None,
) -> pl.DataFrame:
    """Profile of each well that has cells (their median), with its treatment; float64 features.

    `masks` needs the columns Metadata_Well and Metadata_Site; of imported cells it is empty, and
    sites are those with cells. Sites that `quality` (rows of image_quality) calls unusable are left
    out, and so are cells that `objects` (rows of objects) calls unusable; these are counted in
    Metadata_ExcludedCellCount. A well without usable cells has no row. `settings` may choose
    another statistic, and how few cells are too few.
    """
    settings = settings or ProfileSettings()
    keys = ["Metadata_Screen", "Metadata_Plate", "Metadata_Well"]
    cells = in_usable_sites(cells, quality)
    usable = in_usable_objects(cells, objects)
    without_names = usable.select(pl.exclude("^Metadata_.*$"), *keys)
    profiles = aggregate(
        without_names, by=keys, statistic=settings.statistic, min_cells=settings.min_cells
    )
    if masks.is_empty():
        masks = cells.select("Metadata_Well", "Metadata_Site").unique().collect()
    sites = (
        in_usable_sites(masks.lazy(), quality)
        .collect()
        .group_by("Metadata_Well")
        .agg(pl.col("Metadata_Site").n_unique().cast(pl.Int64).alias("Metadata_SiteCount"))
    )
    features = [name for name in profiles.columns if not name.startswith("Metadata_")]
    if objects is not None and not objects.is_empty():
        sites = sites.join(
            _excluded_counts(cells, objects), on="Metadata_Well", how="left", maintain_order="left"
        ).with_columns(pl.col("Metadata_ExcludedCellCount").fill_null(0))
    treatments = plate_map.drop("Metadata_Screen", "Metadata_Plate")
    return (
        profiles.join(treatments, on="Metadata_Well", how="left", maintain_order="left")
        .join(sites, on="Metadata_Well", how="left", maintain_order="left")
        .select(pl.exclude(features), pl.col(features))
        .sort("Metadata_Well")
    )


def in_usable_sites(rows: pl.LazyFrame, quality: pl.DataFrame | None) -> pl.LazyFrame:
    """Rows of the sites that the screen's quality rule does not leave out."""
    if quality is None:
        return rows
    bad = unusable_sites(quality).select("Metadata_Well", "Metadata_Site")
    if bad.is_empty():
        return rows
    return rows.join(bad.lazy(), on=bad.columns, how="anti", maintain_order="left")


def in_usable_objects(cells: pl.LazyFrame, objects: pl.DataFrame | None) -> pl.LazyFrame:
    """Rows of the cells that the screen's object rule does not leave out."""
    bad = excluded_cells(pl.DataFrame() if objects is None else objects)
    if bad.is_empty():
        return cells
    return cells.join(bad.lazy(), on=bad.columns, how="anti", maintain_order="left")


def _excluded_counts(cells: pl.LazyFrame, objects: pl.DataFrame) -> pl.DataFrame:
    bad = excluded_cells(objects)
    return (
        cells.select(bad.columns)
        .join(bad.lazy(), on=bad.columns, how="semi")
        .group_by("Metadata_Well")
        .agg(pl.len().cast(pl.Int64).alias("Metadata_ExcludedCellCount"))
        .collect()
    )


def well_differences(
    cells: pl.LazyFrame, quality: pl.DataFrame | None = None, objects: pl.DataFrame | None = None
) -> pl.DataFrame:
    """How the usable cells of each well differ: spread of each feature, covariances in brief."""
    keys = ["Metadata_Screen", "Metadata_Plate", "Metadata_Well"]
    usable = in_usable_objects(in_usable_sites(cells, quality), objects)
    return heterogeneity(usable.select(pl.exclude("^Metadata_.*$"), *keys), by=keys)


def normalize_wells(
    profiles: pl.DataFrame, reference: Reference = CONTROLS, adjustments: Sequence[str] = ()
) -> pl.DataFrame:
    """Profiles of a plate in every normalization, stacked; the reference wells are named.

    With adjustments each normalization is there twice: as it is, and adjusted.
    """
    named = profiles.with_columns(pl.lit(reference.name).alias("Metadata_Reference"))
    parts = []
    for method in NORMALIZATIONS:
        plain = Recipe(method, "", ({"step": "normalize", "method": method},))
        for taken in dict.fromkeys(((), tuple(adjustments))):
            recipe = plain.with_adjustments(taken)
            normalized = apply_recipe(named, recipe, reference.wells)
            parts.append(
                normalized.with_columns(pl.lit(recipe.name).alias("Metadata_Normalization"))
            )
    return pl.concat(parts)
