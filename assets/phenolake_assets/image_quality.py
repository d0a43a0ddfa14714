"""Silver asset: whether each image is in focus, unsaturated and not empty."""

import dagster as dg
import polars as pl

from phenolake.images.planes import Problem
from phenolake.images.quality_flags import FLAGS, QualityLimits, flag_outliers
from phenolake.images.quality_reference import PlateReference, learn_plate
from phenolake.images.sites import complete_sites
from phenolake.pictures import as_markdown, field_maps
from phenolake.stages.quality import judge_plate, left_out
from phenolake.tables import IMAGE_QUALITY
from phenolake_assets.heatmaps import well_heatmap
from phenolake_assets.landing import PlateRun
from phenolake_assets.partitions import plates
from phenolake_assets.raw_images import raw_image_catalog
from phenolake_assets.table_asset import table_asset
from phenolake_resources import ComputeResource, LakeResource, ScreensResource


@table_asset(
    IMAGE_QUALITY,
    plates,
    deps=[raw_image_catalog],
    checks={
        "images_in_focus": "No more sites are blurred than `quality.max_blurred_share` of the screen "
        "(one in ten); a failure points at the plate or the autofocus.",
        "sites_usable": "No more sites are left out of profiles than `quality.max_unusable_share` (one in five).",
        "fields_clean": "No more sites hold debris than `quality.max_debris_share` (one in five).",
        "light_path_clean": "Dust on lenses, filters or the camera hides no more of the field than "
        "`quality.max_dust_fraction`; a failure asks for cleaning.",
    },
    code_version="3",
)
def image_quality(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    screens: ScreensResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """Focus, blur, saturation, debris and background of every image, with flags per plate."""
    run = PlateRun.start(context, lake, screens)
    config = run.screen.config
    sites = complete_sites(run.read("raw_image_catalog"), config)
    problems: list[Problem] = []
    workers = compute.open()
    reference = learn_plate(sites, compute=workers)
    judged = judge_plate(sites, workers, problems, reference)
    rows = [row for site in run.progress(judged, len(sites), "image quality") for row in site]
    flagged = (
        flag_outliers(pl.DataFrame(rows, infer_schema_length=None), limits=config.quality_limits)
        if rows
        else pl.DataFrame()
    )
    excluded = list(left_out(flagged))
    unreadable = len(problems)
    commit = run.land(IMAGE_QUALITY, flagged if rows else iter(()), [*problems, *excluded])
    shares = {
        "blurred": 0.0,
        "dirty": 0.0,
        "unusable": len(excluded) / max(1, len(sites) - unreadable),
        "dust": max(reference.dust.values(), default=0.0) if reference else 0.0,
    }
    metadata: dict[str, object] = {
        "unreadable sites": unreadable,
        "sites left out of profiles": len(excluded),
    }
    if rows:
        per_site = flagged.group_by("Metadata_Well", "Metadata_Site").agg(
            pl.col("is_debris").any(),
            pl.col("is_blurred").filter(pl.col("channel") == config.nuclei_role).any(),
        )
        shares["blurred"] = float(per_site["is_blurred"].mean() or 0.0)  # type: ignore[arg-type]
        shares["dirty"] = float(per_site["is_debris"].mean() or 0.0)  # type: ignore[arg-type]
        flags = flagged.select(pl.col(FLAGS).sum()).row(0, named=True)
        metadata |= {
            "blurred share": round(shares["blurred"], 4),
            "share with debris": round(shares["dirty"], 4),
            "flagged images": {FLAGS[name]: int(count or 0) for name, count in flags.items()},
            **_pictures(flagged, config.nuclei_role, run.key.plate),
            "dust in the light path": _dust_maps(reference),
        }
    return run.report(
        commit,
        metadata,
        [run.unique_keys(IMAGE_QUALITY, run.where), *_checks(shares, config.quality)],
    )


def _pictures(
    flagged: pl.DataFrame, nuclei: str, plate: str
) -> dict[str, dg.MarkdownMetadataValue]:
    """Heatmaps of focus, background and debris."""
    shown = flagged.filter(pl.col("channel") == nuclei)
    wells = shown.group_by("Metadata_Well").agg(
        pl.col("blur_px").fill_nan(None).median(), pl.col("background").median()
    )
    debris = flagged.group_by("Metadata_Well").agg(pl.col("debris_fraction").max())
    return {
        "focus": well_heatmap(
            wells.drop_nulls("blur_px"), "blur_px", plate=plate, words=f"blur of {nuclei}, pixels"
        ),
        "background": well_heatmap(
            wells, "background", plate=plate, words=f"background of {nuclei}, 0..1"
        ),
        "debris": well_heatmap(
            debris, "debris_fraction", plate=plate, words="largest share of a field in debris"
        ),
    }


def _dust_maps(reference: PlateReference | None) -> dg.MarkdownMetadataValue:
    if reference is None or not reference.dust_maps:
        return dg.MetadataValue.md("too few fields to tell dust in the light path from cells")
    words = "mean over fields against its surroundings, in standard errors; 6 and more is dust"
    return dg.MetadataValue.md(as_markdown(field_maps(reference.dust_maps), words))


def _checks(shares: dict[str, float], limits: QualityLimits) -> list[dg.AssetCheckResult]:
    return [
        _share_check(
            "images_in_focus", "blurred share", shares["blurred"], limits.max_blurred_share
        ),
        _share_check(
            "sites_usable", "unusable share", shares["unusable"], limits.max_unusable_share
        ),
        _share_check("fields_clean", "share with debris", shares["dirty"], limits.max_debris_share),
        _share_check("light_path_clean", "dust share", shares["dust"], limits.max_dust_fraction),
    ]


def _share_check(name: str, what: str, share: float, limit: float) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=share <= limit,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={what: share, "limit": limit},
    )
