"""Silver asset: what was measured of every cell."""

import dagster as dg
import polars as pl

from phenolake.features import feature_names
from phenolake.images.quality_flags import unusable_sites
from phenolake.images.sites import complete_sites
from phenolake.stages.cells import (
    MeasureSite,
    Outcome,
    measure_plate,
    pixel_bytes,
    pixel_size,
    sites_with_masks,
)
from phenolake.stages.measured_sites import MeasuredSites
from phenolake.tables import SINGLE_CELL_FEATURES
from phenolake_assets.heatmaps import well_heatmap
from phenolake_assets.illumination_functions import illumination_functions
from phenolake_assets.image_quality import image_quality
from phenolake_assets.landing import PlateRun
from phenolake_assets.partitions import plates
from phenolake_assets.raw_images import raw_image_catalog
from phenolake_assets.segmentation_masks import segmentation_masks
from phenolake_assets.table_asset import table_asset
from phenolake_resources import ComputeResource, LakeResource, ScreensResource


@table_asset(
    SINGLE_CELL_FEATURES,
    plates,
    deps=[raw_image_catalog, illumination_functions, image_quality, segmentation_masks],
    checks={
        "every_cell_measured": "As many rows as objects in the nuclei masks of usable sites.",
    },
    code_version="4",
    pool="measurement",
)
def single_cell_features(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    screens: ScreensResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """CellProfiler-style features of every cell in usable sites, one row per object number."""
    run = PlateRun.start(context, lake, screens)
    config = run.screen.config
    catalog = run.read("raw_image_catalog")
    sites = complete_sites(catalog, config)
    pixel_um = config.pixel_size_um or pixel_size(catalog)
    kept = MeasuredSites.of_plate(run.lake, str(run.key))
    outcome = Outcome()
    judged = run.lake.exists("image_quality")
    unusable = unusable_sites(run.read("image_quality") if judged else pl.DataFrame())
    skipped = set(unusable.select("Metadata_Well", "Metadata_Site").iter_rows())
    packed = run.lake.batches("segmentation_masks", run.where)
    tasks = sites_with_masks(sites, packed, skipped)
    with run.light(config.roles) as light:
        measure_site = MeasureSite.prepared(config.feature_set, light, pixel_um, kept)
        measured = measure_plate(tasks, measure_site, compute.open(), outcome)
        commit = run.land(
            SINGLE_CELL_FEATURES,
            run.progress(measured, len(sites) - len(skipped), "measuring"),
            outcome.problems,
            parameters={
                "features": config.feature_set,
                "pixel_size_um": pixel_um,
                "segmentation_masks": run.lake.version("segmentation_masks"),
            },
        )
    kept.clear()
    place = ["Metadata_Well", "Metadata_Site"]
    masks = run.read("segmentation_masks", [*place, "compartment", "object_count"])
    usable = masks.join(unusable, on=place, how="anti")
    compartments = masks["compartment"].unique(maintain_order=True).to_list()
    expected = int(usable.filter(pl.col("compartment") == "Nuclei")["object_count"].sum())
    cells = (
        run.read("single_cell_features", ["Metadata_Well"]).group_by("Metadata_Well").len("cells")
    )
    seconds = max(commit.seconds, 1e-9)
    return run.report(
        commit,
        {
            "features": len(feature_names(config.roles, compartments, config.feature_set)),
            "cells per second": round(commit.rows / seconds, 1),
            "megabytes of pixels per second": round(pixel_bytes(catalog) / 1e6 / seconds, 1),
            "megabytes written": round(commit.bytes / 1e6, 2),
            "sites measured": outcome.sites - outcome.resumed,
            "sites left out as unusable": len(skipped),
            "sites an earlier run had measured": outcome.resumed,
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
