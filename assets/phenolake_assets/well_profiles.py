"""Gold assets of a plate: profiles of its wells, raw and normalized."""

import dagster as dg
import polars as pl

from phenolake.identity import PlateKey
from phenolake.screens.config import ScreenConfig
from phenolake.stages.profiles import (
    NORMALIZATIONS,
    in_usable_objects,
    in_usable_sites,
    normalize_wells,
    profile_wells,
)
from phenolake.stages.reference import reference_of
from phenolake.tables import NORMALIZED_PROFILES, WELL_PROFILES
from phenolake_assets.heatmaps import well_heatmap
from phenolake_assets.image_quality import image_quality
from phenolake_assets.landing import PlateRun
from phenolake_assets.objects import objects
from phenolake_assets.partitions import plates
from phenolake_assets.raw_images import plate_map
from phenolake_assets.segmentation_masks import segmentation_masks
from phenolake_assets.single_cell_features import single_cell_features
from phenolake_assets.table_asset import table_asset
from phenolake_resources import LakeResource, ScreensResource


@table_asset(
    WELL_PROFILES,
    plates,
    deps=[single_cell_features, segmentation_masks, objects, plate_map, image_quality],
    checks={
        "no_cell_lost": "The wells' cell counts and the cells left out for a reason add up to the rows "
        "of single_cell_features in usable sites.",
        "features_have_values": "At most one feature value in twenty is missing (NaN).",
    },
    code_version="2",
)
def well_profiles(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Profile of each well (median of its cells), with its treatment and its number of cells."""
    run = PlateRun.start(context, lake, screens)
    cells = run.lake.scan("single_cell_features", run.where)
    place = ["Metadata_Well", "Metadata_Site"]
    masks = run.read_if_there("segmentation_masks", place)
    quality = run.read_if_there("image_quality")
    flagged = run.read_if_there("objects")
    settings = run.screen.config.profiles
    profiles = profile_wells(cells, run.read("plate_map"), masks, quality, flagged, settings)
    commit = run.land(
        WELL_PROFILES,
        profiles,
        parameters={
            "statistic": settings.statistic,
            "min_cells": settings.min_cells,
            "single_cell_features": run.lake.version("single_cell_features"),
            "cells_left_out_for": run.screen.config.objects.exclude,
        },
    )
    counted = int(profiles["Metadata_CellCount"].sum())
    named = run.read("single_cell_features", [*place, "Metadata_ObjectNumber"]).lazy()
    measured = in_usable_sites(named, quality)
    measured_cells = measured.select(pl.len()).collect().item()
    usable_cells = in_usable_objects(measured, flagged).select(pl.len()).collect().item()
    features = profiles.select(pl.exclude("^Metadata_.*$"))
    nan_share = _nan_share(features)
    return run.report(
        commit,
        {
            "cells": counted,
            "cells left out": measured_cells - usable_cells,
            "features": features.width,
            "NaN share": round(nan_share, 5),
            **_readout_pictures(run.screen.config, profiles, run.key, settings.statistic),
        },
        [
            run.unique_keys(WELL_PROFILES, run.where),
            dg.AssetCheckResult(
                check_name="no_cell_lost",
                passed=counted == usable_cells,
                metadata={
                    "cells in profiles": counted,
                    "cells left out": measured_cells - usable_cells,
                    "cells measured": measured_cells,
                },
            ),
            dg.AssetCheckResult(
                check_name="features_have_values",
                passed=nan_share <= 0.05,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"NaN share": nan_share},
            ),
        ],
    )


@table_asset(NORMALIZED_PROFILES, plates, deps=[well_profiles])
def normalized_profiles(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Well profiles against the plate's negative controls (`reference`): z-scores, robust z-scores."""
    run = PlateRun.start(context, lake, screens)
    profiles = run.read("well_profiles")
    reference = reference_of(profiles, run.screen.config.reference)
    if reference.warning:
        context.log.warning(reference.warning)
    adjustments = run.screen.config.profiles.adjustments
    version = run.lake.version("well_profiles")
    normalized = normalize_wells(profiles, reference, adjustments).with_columns(
        pl.lit(version, pl.Int64).alias("Metadata_InputVersion")
    )
    commit = run.land(
        NORMALIZED_PROFILES,
        normalized,
        parameters={
            "methods": list(NORMALIZATIONS),
            "adjustments": adjustments,
            "reference": reference.name,
            "well_profiles": version,
        },
    )
    robust = normalized.filter(pl.col("Metadata_Normalization") == "mad_robustize")
    return run.report(
        commit,
        {
            "undefined features": _undefined(robust),
            "reference": reference.name,
            **({"warning": reference.warning} if reference.warning else {}),
            **_readout_pictures(run.screen.config, robust, run.key, "robust z"),
        },
        [run.unique_keys(NORMALIZED_PROFILES, run.where)],
    )


def _nan_share(features: pl.DataFrame) -> float:
    cells = features.width * features.height
    return (
        float(features.select(pl.sum_horizontal(pl.all().is_nan().sum())).item()) / cells
        if cells
        else 0.0
    )


def _undefined(profiles: pl.DataFrame) -> int:
    """Features without spread in the controls, which have no z-score."""
    features = profiles.select(pl.exclude("^Metadata_.*$"))
    return sum(bool(column.is_nan().all()) for column in features) if features.height else 0


def _readout_pictures(
    config: ScreenConfig, profiles: pl.DataFrame, key: PlateKey, unit: str
) -> dict[str, dg.MarkdownMetadataValue]:
    """A plate heatmap of each readout of the screen."""
    return {
        readout: well_heatmap(
            profiles, readout, plate=f"{key.plate}: {readout}", words=readout, unit=unit
        )
        for readout in config.readout_columns
        if readout in profiles.columns
    }
