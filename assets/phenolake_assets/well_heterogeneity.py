"""Gold asset of a plate: how the cells of each well differ, where the screen asks for it."""

import dagster as dg

from phenolake.stages.profiles import well_differences
from phenolake.tables import WELL_HETEROGENEITY
from phenolake_assets.image_quality import image_quality
from phenolake_assets.landing import PlateRun
from phenolake_assets.objects import objects
from phenolake_assets.partitions import plates
from phenolake_assets.single_cell_features import single_cell_features
from phenolake_assets.table_asset import table_asset
from phenolake_resources import LakeResource, ScreensResource


@table_asset(WELL_HETEROGENEITY, plates, deps=[single_cell_features, image_quality, objects])
def well_heterogeneity(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Spread of each feature over the cells of a well, and their covariances as random projections.

    Made where `profiles.heterogeneity` is true in screen.yaml; the table stays empty elsewhere.
    """
    run = PlateRun.start(context, lake, screens)
    if not run.screen.config.profiles.heterogeneity:
        commit = run.land(WELL_HETEROGENEITY, [])
        note = "no; `profiles: {heterogeneity: true}` in screen.yaml asks for it"
        return run.report(
            commit, {"asked for": note}, [run.unique_keys(WELL_HETEROGENEITY, run.where)]
        )
    cells = run.lake.scan("single_cell_features", run.where)
    differences = well_differences(
        cells, run.read_if_there("image_quality"), run.read_if_there("objects")
    )
    commit = run.land(
        WELL_HETEROGENEITY,
        differences,
        parameters={"single_cell_features": run.lake.version("single_cell_features")},
    )
    return run.report(
        commit,
        {"cells": int(differences["Metadata_CellCount"].sum())},
        [run.unique_keys(WELL_HETEROGENEITY, run.where)],
    )
