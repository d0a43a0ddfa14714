"""Silver asset: what every feature column of a screen means."""

import dagster as dg

from phenolake.stages.meanings import dictionary_of_screen
from phenolake.tables import FEATURE_DICTIONARY
from phenolake_assets.field_features import field_features
from phenolake_assets.landing import ScreenRun
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.single_cell_features import single_cell_features
from phenolake_assets.table_asset import table_asset
from phenolake_assets.well_profiles import normalized_profiles, well_profiles
from phenolake_resources import LakeResource, ScreensResource


@table_asset(
    FEATURE_DICTIONARY,
    screen_partitions,
    deps=[
        dg.AssetDep(table, partition_mapping=dg.AllPartitionMapping())
        for table in (single_cell_features, field_features, well_profiles, normalized_profiles)
    ],
)
def feature_dictionary(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Meaning, unit and source of every feature column, and whether it is a position."""
    run = ScreenRun.start(context, lake, screens)
    rows = dictionary_of_screen(run.lake, run.name, run.screen.config.roles)
    commit = run.land(FEATURE_DICTIONARY, rows)
    return run.report(
        commit,
        {
            "positions": int(rows["is_position"].sum()),
            "columns of other programs": int(rows["meaning"].null_count()),
        },
        [run.unique_keys(FEATURE_DICTIONARY, run.where)],
    )
