"""Silver asset: an image of every cell, as networks see it."""

import dagster as dg
import polars as pl

from phenolake.images.planes import Problem
from phenolake.stages.screen_crops import cut_plate
from phenolake.tables import SINGLE_CELL_CROPS
from phenolake_assets.illumination_functions import illumination_functions
from phenolake_assets.image_quality import image_quality
from phenolake_assets.landing import PlateRun
from phenolake_assets.partitions import plates
from phenolake_assets.raw_images import raw_image_catalog
from phenolake_assets.segmentation_masks import segmentation_masks
from phenolake_assets.table_asset import table_asset
from phenolake_resources import ComputeResource, LakeResource, ScreensResource


@table_asset(
    SINGLE_CELL_CROPS,
    plates,
    deps=[raw_image_catalog, illumination_functions, image_quality, segmentation_masks],
    checks={
        "every_cell_cut": "As many crops as nuclei in the masks.",
    },
    pool="measurement",
)
def single_cell_crops(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    screens: ScreensResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """A small image around every nucleus, in the channels and the size that the screen asks for."""
    run = PlateRun.start(context, lake, screens)
    settings = run.screen.config.crops
    problems: list[Problem] = []
    rows = cut_plate(run.lake, run.key, run.screen.config, compute.open(), problems)
    commit = run.land(
        SINGLE_CELL_CROPS,
        rows,
        problems,
        parameters={
            **settings.model_dump(),
            "segmentation_masks": run.lake.version("segmentation_masks"),
        },
    )
    masks = run.read("segmentation_masks", ["compartment", "object_count"])
    expected = int(masks.filter(pl.col("compartment") == "Nuclei")["object_count"].sum())
    return run.report(
        commit,
        {
            "crop size": settings.size,
            "channels": ", ".join(settings.channels or run.screen.config.roles),
            "megabytes written": round(commit.bytes / 1e6, 2),
        },
        [
            run.unique_keys(SINGLE_CELL_CROPS, run.where),
            dg.AssetCheckResult(
                check_name="every_cell_cut",
                passed=commit.rows == expected,
                metadata={"nuclei in the masks": expected, "crops": commit.rows},
            ),
        ],
    )
