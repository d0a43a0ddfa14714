"""Silver asset: whether each image is in focus, unsaturated and not empty."""

import dagster as dg
import polars as pl

from phenolake.images.planes import Problem
from phenolake.images.quality import flag_outliers
from phenolake.images.sites import complete_sites
from phenolake.pictures import as_markdown, plate_heatmap
from phenolake.stages.quality import judge_plate
from phenolake.tables import IMAGE_QUALITY
from phenolake_assets.columns import table_metadata
from phenolake_assets.landing import STORAGE_RETRY, PlateRun, clear_failures, key_check
from phenolake_assets.partitions import plates
from phenolake_assets.raw_images import raw_image_catalog
from phenolake_resources import ComputeResource, LakeResource, ScreensResource


@dg.asset(
    deps=[raw_image_catalog],
    partitions_def=plates,
    group_name="silver",
    kinds={"deltalake"},
    metadata=table_metadata(IMAGE_QUALITY),
    code_version="1",
    retry_policy=STORAGE_RETRY,
    check_specs=[
        key_check("image_quality"),
        dg.AssetCheckSpec(
            "images_in_focus",
            asset="image_quality",
            description="At most one site in ten is blurred; a failure points at the plate or the autofocus.",
        ),
    ],
)
def image_quality(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    screens: ScreensResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """Focus, saturation and background of every image, with robust flags per plate."""
    with clear_failures():
        run = PlateRun.start(context, lake, screens)
        config = run.screen.config
        sites = complete_sites(run.read("raw_image_catalog"), config)
        problems: list[Problem] = []
        judged = judge_plate(sites, compute.open(), problems)
        rows = [row for site in run.progress(judged, len(sites), "image quality") for row in site]
        flagged = flag_outliers(pl.DataFrame(rows)) if rows else pl.DataFrame()
        commit = run.land(IMAGE_QUALITY, flagged if rows else iter(()), problems)
        metadata: dict[str, object] = {"unreadable sites": len(problems)}
        blurred = 0.0
        if rows:
            nuclei = flagged.filter(pl.col("channel") == config.nuclei_role)
            blurred = float(nuclei["is_blurred"].mean() or 0.0)  # type: ignore[arg-type]
            focus = nuclei.group_by("Metadata_Well").agg(pl.col("power_log_log_slope").median())
            heatmap = plate_heatmap(
                focus, "power_log_log_slope", title=f"focus of {config.nuclei_role}"
            )
            metadata |= {
                "blurred share": round(blurred, 4),
                "focus": dg.MetadataValue.md(as_markdown(heatmap, "power log-log slope per well")),
            }
        return run.report(
            commit,
            metadata,
            [
                run.unique_keys(IMAGE_QUALITY, run.where),
                dg.AssetCheckResult(
                    check_name="images_in_focus",
                    passed=blurred <= 0.1,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"blurred share": blurred},
                ),
            ],
        )
