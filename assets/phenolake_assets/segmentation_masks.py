"""Silver asset: label images of nuclei, cells and cytoplasm for every site."""

import dagster as dg
import polars as pl

from phenolake.images.planes import Problem
from phenolake.images.sites import complete_sites
from phenolake.pictures import as_markdown
from phenolake.segmentation import resolve_method
from phenolake.stages.known_weights import confirm_weights
from phenolake.stages.masks import SegmentSite, segment_plate
from phenolake.stages.outlines import outlines_of_some
from phenolake.tables import SEGMENTATION_MASKS
from phenolake_assets.heatmaps import well_heatmap
from phenolake_assets.illumination_functions import illumination_functions
from phenolake_assets.landing import PlateRun
from phenolake_assets.partitions import plates
from phenolake_assets.raw_images import raw_image_catalog
from phenolake_assets.table_asset import table_asset
from phenolake_resources import ComputeResource, LakeResource, ScreensResource


@table_asset(
    SEGMENTATION_MASKS,
    plates,
    deps=[raw_image_catalog, illumination_functions],
    checks={
        "every_site_segmented": "Every complete site of the catalogue has masks; the others are in quarantine.",
    },
    code_version="2",
    pool="segmentation",
)
def segmentation_masks(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    screens: ScreensResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """Label images of nuclei, cells and cytoplasm; one object number joins the three."""
    run = PlateRun.start(context, lake, screens)
    config = run.screen.config
    sites = complete_sites(run.read("raw_image_catalog"), config)
    method = resolve_method(config.segmentation_method(screens.segmentation))
    confirm_weights(run.lake, method)
    problems: list[Problem] = []
    with run.light(config.roles) as light:
        segment_site = SegmentSite(
            method=method.name,
            method_text=method.name,
            model_hash=method.model_hash,
            nuclei_channel=config.nuclei_role,
            cell_channel=config.cell_role,
            illumination=light,
        )
        workers = compute.open(network=method.model_hash is not None)
        segmented = run.progress(
            segment_plate(sites, segment_site, workers, problems),
            len(sites),
            "segmentation",
        )
        commit = run.land(
            SEGMENTATION_MASKS,
            run.batches(SEGMENTATION_MASKS, segmented),
            problems,
            parameters={
                "method": method.name,
                "reason": method.reason,
                "model": method.model_hash,
                "licence": method.licence,
            },
        )
        outlines = outlines_of_some(run.lake, run.where, sites, light)
    counts = run.read(
        "segmentation_masks", ["Metadata_Well", "Metadata_Site", "compartment", "object_count"]
    ).filter(pl.col("compartment") == "Nuclei")
    per_well = counts.group_by("Metadata_Well").agg(pl.col("object_count").sum().alias("cells"))
    return run.report(
        commit,
        {
            "method": f"{method.name} ({method.reason})",
            "licence of the weights": method.licence or "none needed",
            "cells": int(counts["object_count"].sum()),
            "sites": counts.height,
            "sites lost": len(sites) - counts.height,
            "outlines": dg.MetadataValue.md(
                as_markdown(outlines, "outlines") if outlines else "none"
            ),
            "cells per well": well_heatmap(
                per_well, "cells", plate=run.key.plate, words="cells per well"
            ),
        },
        [
            run.unique_keys(SEGMENTATION_MASKS, run.where),
            dg.AssetCheckResult(
                check_name="every_site_segmented",
                passed=counts.height == len(sites),
                metadata={"sites": len(sites), "segmented": counts.height},
            ),
        ],
    )
