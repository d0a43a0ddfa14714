"""Silver asset: every segmented object, its parent, and what is odd about it."""

import dagster as dg
import polars as pl

from phenolake.images.planes import Problem
from phenolake.images.sites import complete_sites
from phenolake.segmentation.object_flags import FLAGS
from phenolake.stages.cells import sites_with_masks
from phenolake.stages.objects import DescribeSite, objects_of_plate
from phenolake.tables import OBJECTS
from phenolake_assets.illumination_functions import illumination_functions
from phenolake_assets.landing import PlateRun
from phenolake_assets.partitions import plates
from phenolake_assets.raw_images import raw_image_catalog
from phenolake_assets.segmentation_masks import segmentation_masks
from phenolake_assets.table_asset import table_asset
from phenolake_resources import ComputeResource, LakeResource, ScreensResource


@table_asset(
    OBJECTS,
    plates,
    deps=[raw_image_catalog, illumination_functions, segmentation_masks],
    checks={
        "every_object_is_listed": "As many numbers in each compartment as its label images have.",
    },
)
def objects(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    screens: ScreensResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """Nuclei, cells and cytoplasm with parent links and flags; odd objects are marked, not deleted."""
    run = PlateRun.start(context, lake, screens)
    config = run.screen.config
    sites = complete_sites(run.read("raw_image_catalog"), config)
    problems: list[Problem] = []
    with run.light(config.roles) as light:
        tasks = sites_with_masks(sites, run.lake.batches("segmentation_masks", run.where))
        rows = objects_of_plate(
            run.progress(tasks, len(sites), "objects"),
            DescribeSite(config.nuclei_role, config.cell_role, light),
            config.objects,
            compute.open(),
            problems,
        )
    commit = run.land(
        OBJECTS,
        [] if rows.is_empty() else rows,
        problems,
        parameters={
            "limits": config.objects.model_dump(),
            "segmentation_masks": run.lake.version("segmentation_masks"),
        },
    )
    masks = run.read("segmentation_masks", ["compartment", "object_count"])
    expected = int(masks["object_count"].sum())
    listed = rows.filter(pl.col("part") == 1).height if rows.height else 0
    return run.report(
        commit,
        {reason: int(rows[flag].sum()) if rows.height else 0 for flag, reason in FLAGS.items()},
        [
            run.unique_keys(OBJECTS, run.where),
            dg.AssetCheckResult(
                check_name="every_object_is_listed",
                passed=listed == expected,
                metadata={"objects in the masks": expected, "objects listed": listed},
            ),
        ],
    )
