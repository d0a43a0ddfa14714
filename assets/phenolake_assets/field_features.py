"""Silver asset: what was measured of every whole field."""

import dagster as dg
import polars as pl

from phenolake.images.planes import Problem
from phenolake.images.sites import complete_sites
from phenolake.stages.cells import pixel_bytes, sites_with_masks
from phenolake.stages.fields import MeasureField, measure_fields
from phenolake.tables import FIELD_FEATURES
from phenolake_assets.heatmaps import well_heatmap
from phenolake_assets.illumination_functions import illumination_functions
from phenolake_assets.landing import PlateRun
from phenolake_assets.partitions import plates
from phenolake_assets.raw_images import raw_image_catalog
from phenolake_assets.segmentation_masks import segmentation_masks
from phenolake_assets.table_asset import table_asset
from phenolake_resources import ComputeResource, LakeResource, ScreensResource


@table_asset(
    FIELD_FEATURES,
    plates,
    deps=[raw_image_catalog, illumination_functions, segmentation_masks],
    checks={
        "every_field_measured": "A row for every site that has masks.",
    },
    pool="measurement",
)
def field_features(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    screens: ScreensResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """CellProfiler-style features of every whole field, one row per site."""
    run = PlateRun.start(context, lake, screens)
    config = run.screen.config
    catalog = run.read("raw_image_catalog")
    sites = complete_sites(catalog, config)
    problems: list[Problem] = []
    tasks = sites_with_masks(sites, run.lake.batches("segmentation_masks", run.where))
    with run.light(config.roles) as light:
        measure = MeasureField(config.field_features, light)
        rows = measure_fields(tasks, measure, compute.open(), problems)
        commit = run.land(
            FIELD_FEATURES,
            run.progress(rows, len(sites), "fields"),
            problems,
            parameters={
                "field_features": list(config.field_features),
                "segmentation_masks": run.lake.version("segmentation_masks"),
            },
        )
    masked = run.read("segmentation_masks", ["Metadata_Well", "Metadata_Site"]).unique().height
    return run.report(
        commit,
        {
            "megabytes of pixels per second": round(
                pixel_bytes(catalog) / 1e6 / max(commit.seconds, 1e-9), 1
            ),
            **_picture(run, config.nuclei_role),
        },
        [
            run.unique_keys(FIELD_FEATURES, run.where),
            dg.AssetCheckResult(
                check_name="every_field_measured",
                passed=commit.rows == masked,
                metadata={"sites with masks": masked, "sites measured": commit.rows},
            ),
        ],
    )


def _picture(run: PlateRun, channel: str) -> dict[str, dg.MarkdownMetadataValue]:
    """Heatmap of the wells' median intensity, where intensities were measured."""
    name = f"Image_Intensity_MedianIntensity_{channel}"
    rows = run.read("field_features")
    if name not in rows.columns:
        return {}
    wells = rows.group_by("Metadata_Well").agg(pl.col(name).median())
    words = f"median of {channel}, 0..1"
    return {"median intensity": well_heatmap(wells, name, plate=run.key.plate, words=words)}
