"""Bronze assets of a plate: its image planes and its plate map."""

import dagster as dg
import polars as pl

from phenolake.images.catalog import catalogue_plate
from phenolake.screens.plate_map import read_plate_map
from phenolake.tables import PLATE_MAP, RAW_IMAGE_CATALOG
from phenolake_assets.heatmaps import well_heatmap
from phenolake_assets.landing import PlateRun
from phenolake_assets.partitions import plates
from phenolake_assets.table_asset import table_asset
from phenolake_resources import LakeResource, ScreensResource


@table_asset(
    RAW_IMAGE_CATALOG,
    plates,
    checks={
        "no_plane_refused": "Every file of the plate became a plane; refused ones are in bronze.quarantine.",
    },
)
def raw_image_catalog(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Every image plane of the plate: where it lies and in which file; pixels stay where they are."""
    run = PlateRun.start(context, lake, screens)
    found = catalogue_plate(run.screen, run.plate())
    commit = run.land(RAW_IMAGE_CATALOG, found.rows, found.problems)
    sites = found.rows.select("Metadata_Well", "Metadata_Site").unique()
    per_well = sites.group_by("Metadata_Well").len("sites")
    return run.report(
        commit,
        {
            "wells": per_well.height,
            "sites": sites.height,
            "channels": ", ".join(found.rows["channel"].unique().sort()),
            "bytes of images": int(found.rows.unique("uri")["bytes"].sum()),
            "refused": len(found.problems),
            "sites per well": well_heatmap(
                per_well, "sites", plate=run.key.plate, words="sites per well"
            ),
        },
        [
            run.unique_keys(RAW_IMAGE_CATALOG, run.where),
            dg.AssetCheckResult(
                check_name="no_plane_refused",
                passed=not found.problems,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"problems": _summary(p.problem for p in found.problems)},
            ),
        ],
    )


@table_asset(
    PLATE_MAP,
    plates,
    deps=[raw_image_catalog],
    checks={
        "controls_present": "The plate has negative controls; without them it can't be normalized.",
    },
)
def plate_map(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """The treatment of every imaged well of the plate."""
    run = PlateRun.start(context, lake, screens)
    wells = set(run.read("raw_image_catalog", ["Metadata_Well"])["Metadata_Well"])
    found = read_plate_map(run.screen, run.key, wells)
    commit = run.land(PLATE_MAP, found.rows, found.problems)
    controls = dict(found.rows["Metadata_ControlType"].value_counts().iter_rows())
    return run.report(
        commit,
        {
            "wells by control type": {str(kind): count for kind, count in sorted(controls.items())},
            "perturbations": found.rows["Metadata_Perturbation"].n_unique(),
            "problems": len(found.problems),
        },
        [
            run.unique_keys(PLATE_MAP, run.where),
            dg.AssetCheckResult(
                check_name="controls_present",
                passed=controls.get("negcon", 0) > 0,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={kind: controls.get(kind, 0) for kind in ("negcon", "poscon")},
            ),
        ],
    )


def _summary(kinds: object) -> str:
    counts = pl.Series("kind", list(kinds), dtype=pl.String).value_counts().sort("kind")  # type: ignore[call-overload]
    return ", ".join(f"{count} x {kind}" for kind, count in counts.iter_rows()) or "none"
