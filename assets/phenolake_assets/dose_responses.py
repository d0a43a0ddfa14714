"""Gold asset: dose-response curves of every compound of a screen."""

from typing import Any

import dagster as dg
import polars as pl

from phenolake.dose_response.tables import fit_curves
from phenolake.pictures import as_markdown, dose_curves
from phenolake.stages.dose_responses import responses_of
from phenolake.tables import DOSE_RESPONSES
from phenolake_assets.landing import ScreenRun
from phenolake_assets.model_predictions import model_predictions
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.screen_profiles import STARTS, batch_corrected_profiles
from phenolake_assets.table_asset import table_asset
from phenolake_resources import LakeResource, ScreensResource

_INPUTS = ("well_profiles", "normalized_profiles", "batch_corrected_profiles", "model_predictions")


@table_asset(
    DOSE_RESPONSES,
    screen_partitions,
    deps=[
        *(dg.AssetDep(table, partition_mapping=dg.AllPartitionMapping()) for table in STARTS),
        batch_corrected_profiles,
        model_predictions,
    ],
)
def dose_responses(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Four-parameter curves of readouts, class shares and profile distances over doses."""
    run = ScreenRun.start(context, lake, screens)
    wells, names = responses_of(run.lake, run.screen.config)
    curves = fit_curves(wells, names)
    commit = run.land(
        DOSE_RESPONSES,
        curves.with_columns(pl.lit(run.name).alias("Metadata_Screen")),
        parameters={table: run.lake.version(table) for table in _INPUTS if run.lake.exists(table)},
    )
    flags = dict(curves["flag"].value_counts().sort("flag").iter_rows())
    return run.report(
        commit,
        {"curves by flag": flags, **_picture(curves, wells, run.screen.config.readout_columns)},
        [run.unique_keys(DOSE_RESPONSES, run.where)],
    )


def _picture(
    curves: pl.DataFrame, wells: pl.DataFrame, readouts: list[str]
) -> dict[str, dg.MarkdownMetadataValue]:
    """The strongest curves of the first readout that has any."""
    for readout in readouts:
        chosen: list[dict[str, Any]] = (
            curves.filter(response=readout).sort("activity_p", -pl.col("r_squared")).to_dicts()
        )
        if chosen:
            return {"curves": dg.MetadataValue.md(as_markdown(dose_curves(chosen, wells), readout))}
    return {}
