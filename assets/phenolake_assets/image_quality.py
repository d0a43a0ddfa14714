"""Silver asset: whether each image is in focus, unsaturated and not empty."""

import dagster as dg
import polars as pl

from phenolake.images.planes import Problem
from phenolake.images.quality_flags import FLAGS, flag_outliers
from phenolake.images.sites import complete_sites
from phenolake.pictures import as_markdown, plate_heatmap
from phenolake.stages.quality import judge_plate, left_out
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
    code_version="2",
    retry_policy=STORAGE_RETRY,
    check_specs=[
        key_check("image_quality"),
        dg.AssetCheckSpec(
            "images_in_focus",
            asset="image_quality",
            description="No more sites are blurred than `quality.max_blurred_share` of the screen "
            "(one in ten); a failure points at the plate or the autofocus.",
        ),
        dg.AssetCheckSpec(
            "sites_usable",
            asset="image_quality",
            description="No more sites are left out of profiles than `quality.max_unusable_share` (one in five).",
        ),
    ],
)
def image_quality(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    screens: ScreensResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """Focus, blur, saturation, debris and background of every image, with flags per plate."""
    with clear_failures():
        run = PlateRun.start(context, lake, screens)
        config = run.screen.config
        sites = complete_sites(run.read("raw_image_catalog"), config)
        problems: list[Problem] = []
        judged = judge_plate(sites, compute.open(), problems)
        rows = [row for site in run.progress(judged, len(sites), "image quality") for row in site]
        flagged = (
            flag_outliers(pl.DataFrame(rows), limits=config.quality_limits)
            if rows
            else pl.DataFrame()
        )
        excluded = list(left_out(flagged))
        unreadable = len(problems)
        commit = run.land(IMAGE_QUALITY, flagged if rows else iter(()), [*problems, *excluded])
        metadata: dict[str, object] = {
            "unreadable sites": unreadable,
            "sites left out of profiles": len(excluded),
        }
        blurred = 0.0
        unusable = len(excluded) / max(1, len(sites) - unreadable)
        if rows:
            nuclei = flagged.filter(pl.col("channel") == config.nuclei_role)
            blurred = float(nuclei["is_blurred"].mean() or 0.0)  # type: ignore[arg-type]
            focus = nuclei.group_by("Metadata_Well").agg(pl.col("power_log_log_slope").median())
            heatmap = plate_heatmap(
                focus, "power_log_log_slope", title=f"focus of {config.nuclei_role}"
            )
            flags = flagged.select(pl.col(FLAGS).sum()).row(0, named=True)
            metadata |= {
                "blurred share": round(blurred, 4),
                "flagged images": {FLAGS[name]: int(count or 0) for name, count in flags.items()},
                "focus": dg.MetadataValue.md(as_markdown(heatmap, "power log-log slope per well")),
            }
        return run.report(
            commit,
            metadata,
            [
                run.unique_keys(IMAGE_QUALITY, run.where),
                _share_check(
                    "images_in_focus", "blurred share", blurred, config.quality.max_blurred_share
                ),
                _share_check(
                    "sites_usable", "unusable share", unusable, config.quality.max_unusable_share
                ),
            ],
        )


def _share_check(name: str, what: str, share: float, limit: float) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=share <= limit,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={what: share, "limit": limit},
    )
