"""Silver asset: what was measured of every cell."""

import dagster as dg
import polars as pl

from phenolake.features import feature_names
from phenolake.images.planes import Problem
from phenolake.images.sites import complete_sites
from phenolake.stages.cells import MeasureSite, measure_plate, sites_with_masks
from phenolake.stages.light import illumination_file
from phenolake.tables import SINGLE_CELL_FEATURES
from phenolake_assets.columns import table_metadata
from phenolake_assets.heatmaps import well_heatmap
from phenolake_assets.illumination_functions import illumination_functions
from phenolake_assets.landing import STORAGE_RETRY, PlateRun, clear_failures, key_check
from phenolake_assets.partitions import plates
from phenolake_assets.raw_images import raw_image_catalog
from phenolake_assets.segmentation_masks import segmentation_masks
from phenolake_resources import ComputeResource, LakeResource, ScreensResource


@dg.asset(
    deps=[raw_image_catalog, illumination_functions, segmentation_masks],
    partitions_def=plates,
    group_name="silver",
    kinds={"deltalake"},
    metadata=table_metadata(SINGLE_CELL_FEATURES),
    code_version="1",
    pool="measurement",
    retry_policy=STORAGE_RETRY,
    check_specs=[
        key_check("single_cell_features"),
        dg.AssetCheckSpec(
            "every_cell_measured",
            asset="single_cell_features",
            description="As many rows as objects in the nuclei masks.",
        ),
    ],
)
def single_cell_features(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    screens: ScreensResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """CellProfiler-style features of every cell, one row per object number."""
    with clear_failures():
        run = PlateRun.start(context, lake, screens)
        config = run.screen.config
        sites = complete_sites(run.read("raw_image_catalog"), config)
        problems: list[Problem] = []
        tasks = sites_with_masks(sites, run.lake.batches("segmentation_masks", run.where))
        with illumination_file(run.read("illumination_functions"), config.roles) as light:
            measured = measure_plate(
                tasks, MeasureSite(config.features, light), compute.open(), problems
            )
            commit = run.land(
                SINGLE_CELL_FEATURES,
                run.progress(measured, len(sites), "measuring"),
                problems,
                parameters={
                    "features": config.features,
                    "segmentation_masks": run.lake.version("segmentation_masks"),
                },
            )
        masks = run.read("segmentation_masks", ["compartment", "object_count"])
        compartments = masks["compartment"].unique(maintain_order=True).to_list()
        expected = int(masks.filter(pl.col("compartment") == "Nuclei")["object_count"].sum())
        cells = (
            run.read("single_cell_features", ["Metadata_Well"])
            .group_by("Metadata_Well")
            .len("cells")
        )
        seconds = max(commit.seconds, 1e-9)
        return run.report(
            commit,
            {
                "features": len(feature_names(config.roles, compartments, config.features)),
                "cells per second": round(commit.rows / seconds, 1),
                "megabytes": round(commit.bytes / 1e6, 2),
                "cells per well": well_heatmap(
                    cells, "cells", plate=run.key.plate, words="cells per well"
                ),
            },
            [
                run.unique_keys(SINGLE_CELL_FEATURES, run.where),
                dg.AssetCheckResult(
                    check_name="every_cell_measured",
                    passed=commit.rows == expected,
                    metadata={"objects in the masks": expected, "cells measured": commit.rows},
                ),
            ],
        )
