"""Silver asset: how brightly each part of the field is lit, per plate and channel."""

import dagster as dg
import polars as pl

from phenolake.images.illumination import estimate_illumination
from phenolake.images.sites import complete_sites
from phenolake.lake import encode_array
from phenolake.pictures import as_markdown, field_maps
from phenolake.tables import ILLUMINATION_FUNCTIONS
from phenolake_assets.landing import PlateRun
from phenolake_assets.partitions import plates
from phenolake_assets.raw_images import raw_image_catalog
from phenolake_assets.table_asset import table_asset
from phenolake_resources import ComputeResource, LakeResource, ScreensResource


@table_asset(
    ILLUMINATION_FUNCTIONS,
    plates,
    deps=[raw_image_catalog],
    code_version="2",
)
def illumination_functions(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    screens: ScreensResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """Illumination function of each channel of the plate; raw images are corrected by it."""
    run = PlateRun.start(context, lake, screens)
    config = run.screen.config
    rule = config.illumination
    found = []
    if rule.convention != "none":
        sites = complete_sites(run.read("raw_image_catalog"), config)
        found = list(
            estimate_illumination(
                sites,
                max_sites=rule.max_fields,
                smoothing=rule.smoothing,
                convention=rule.convention,
                compute=compute.open(),
            )
        )
    rows = pl.DataFrame(
        [
            {
                "channel": light.channel,
                "illumination": encode_array(light.function),
                "height": light.function.shape[0],
                "width": light.function.shape[1],
                "images": light.images,
                "method": light.method,
                "background": light.background,
                "convention": light.convention,
                "subtracted": light.background if rule.subtract_background else 0.0,
                "unevenness": light.unevenness,
            }
            for light in found
        ],
        schema_overrides={"illumination": pl.Binary},
    )
    commit = run.land(
        ILLUMINATION_FUNCTIONS, rows if found else iter(()), parameters=rule.model_dump()
    )
    return run.report(
        commit,
        {
            "convention": rule.convention,
            "background": {light.channel: round(light.background, 5) for light in found},
            "unevenness": {light.channel: round(light.unevenness, 3) for light in found},
            "functions": dg.MetadataValue.md(
                as_markdown(
                    field_maps({light.channel: light.function for light in found}),
                    "illumination",
                )
                if found
                else "none: no complete site, or `illumination: {convention: none}`"
            ),
        },
        [run.unique_keys(ILLUMINATION_FUNCTIONS, run.where)],
    )
