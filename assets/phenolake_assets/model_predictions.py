"""Gold assets: what models say about every cell of a screen, and about its wells."""

from collections.abc import Iterator, Sequence

import dagster as dg
import polars as pl
import pyarrow as pa
from pydantic import Field

from phenolake.errors import TrainingDataError
from phenolake.identity import PlateKey
from phenolake.modeling import LoadedModel, Tracker
from phenolake.modeling.drift import held_out_cells, novelty_drift
from phenolake.screens.discover import inside
from phenolake.stages.applied_models import chosen_models, well_parts
from phenolake.stages.predictions import AppliedModel, plate_predictions, well_rows
from phenolake.stages.training_sets import annotated_cells, label_wells, true_labels
from phenolake.tables import MODEL_PREDICTIONS, WELL_PREDICTIONS
from phenolake_assets.landing import ScreenRun
from phenolake_assets.models import (
    forest_name,
    network_name,
    phenotype_forest,
    phenotype_network,
)
from phenolake_assets.partitions import from_all_plates
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.raw_images import plate_map
from phenolake_assets.single_cell_crops import single_cell_crops
from phenolake_assets.single_cell_features import single_cell_features
from phenolake_assets.table_asset import table_asset
from phenolake_assets.whole_fields import field_predictions
from phenolake_resources import LakeResource, MlflowResource, ScreensResource

DRIFT_CHECK = "plates_are_like_the_training"


class PredictionConfig(dg.Config):
    """Which models are applied, and how."""

    models: list[str] = Field(
        [],
        description="models:/<name>@<alias> or models:/<name>/<version>, also of other screens; "
        "default: the champions of the screen's forest and network",
    )
    dropout_passes: int = Field(
        0, ge=0, description="passes with units dropped, for networks that have dropout"
    )
    unknown_above: float | None = Field(
        None,
        ge=0,
        le=1,
        description="novelty above which a cell is called unknown, for models without a threshold",
    )


@table_asset(
    MODEL_PREDICTIONS,
    screen_partitions,
    deps=[
        phenotype_forest,
        phenotype_network,
        *from_all_plates(single_cell_features, single_cell_crops, plate_map),
    ],
    checks={
        DRIFT_CHECK: "The novelty of each plate's cells is spread as that of held-out cells of the "
        "training was: population stability index at most 0.25, or what chance alone explains."
    },
    code_version="2",
)
def model_predictions(
    context: dg.AssetExecutionContext,
    config: PredictionConfig,
    lake: LakeResource,
    screens: ScreensResource,
    mlflow: MlflowResource,
) -> dg.MaterializeResult:
    """Class, probabilities, uncertainty and novelty of every cell by each model."""
    run = ScreenRun.start(context, lake, screens)
    tracker = mlflow.open()
    own = [forest_name(run.name), network_name(run.name)]
    models = chosen_models(config.models, own, tracker)
    uris = [f"models:/{model.name}/{model.version}" for model in models]
    commit = run.land(
        MODEL_PREDICTIONS,
        _rows(run, models, tracker, config),
        parameters={
            "models": uris,
            # A screen of imported profiles has neither.
            **{
                table: run.lake.version(table)
                for table in ("single_cell_features", "single_cell_crops")
                if run.lake.exists(table)
            },
        },
    )
    return run.report(
        commit,
        {"models": uris, "agreement with the labels": dg.MetadataValue.md(_agreement(run))},
        [run.unique_keys(MODEL_PREDICTIONS, run.where), _drift_check(run, models, tracker)],
    )


def _rows(
    run: ScreenRun, models: Sequence[LoadedModel], tracker: Tracker, config: PredictionConfig
) -> Iterator[pa.Table]:
    """Predictions of each model, plate by plate; a screen of imported profiles has neither."""
    if not models:
        return
    treatments = run.lake.read("plate_map", run.where)
    wells = label_wells(treatments, run.screen.config.labels)
    for model in models:
        applied = AppliedModel(
            model,
            well_parts(run.name, tracker, model),
            true_labels(model.classes, wells, _annotated(run, model)),
            config.dropout_passes,
            config.unknown_above,
        )
        for plate in treatments["Metadata_Plate"].unique().sort():
            yield from plate_predictions(run.lake, PlateKey(run.name, plate), applied)


def _annotated(run: ScreenRun, model: LoadedModel) -> pl.DataFrame | None:
    """The cells that the screen's annotations label; none where there is no usable file."""
    file = run.screen.config.annotations
    if file is None:
        return None
    table = "single_cell_crops" if model.takes == "crops" else "single_cell_features"
    try:
        return annotated_cells(
            inside(run.screen.folder, file), run.lake.scan(table, run.where)
        ).cells
    except TrainingDataError as error:
        run.context.log.warning(f"true labels are those of the plate map: {error}")
        return None


@table_asset(WELL_PREDICTIONS, screen_partitions, deps=[model_predictions, field_predictions])
def well_predictions(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Mean probabilities, share of each class, uncertainty and novelty of every well."""
    run = ScreenRun.start(context, lake, screens)
    judged = {"model_predictions": "cells", "field_predictions": "fields"}
    tables = [table for table in judged if run.lake.exists(table)]
    rows = pl.concat(
        well_rows(run.lake.scan(table, run.where)).with_columns(judged=pl.lit(judged[table]))
        for table in tables
    )
    commit = run.land(
        WELL_PREDICTIONS,
        rows,
        parameters={table: run.lake.version(table) for table in tables},
    )
    labelled = rows.drop_nulls("true_label").filter(pl.col("split") != "train")
    right = labelled.select((pl.col("label") == pl.col("true_label")).mean()).item()
    return run.report(
        commit,
        {
            "labelled wells that trained no model": labelled.height,
            **({} if right is None else {"share of them given their class": round(right, 4)}),
        },
        [run.unique_keys(WELL_PREDICTIONS, run.where)],
    )


def _drift_check(
    run: ScreenRun, models: list[LoadedModel], tracker: Tracker
) -> dg.AssetCheckResult:
    """Warn of plates whose cells are further from, or nearer to, the classes than expected."""
    held_out = {
        (model.name, model.version): held_out_cells(
            tracker.client.get_run(model.run_id).data.params
        )
        for model in models
    }
    drift = novelty_drift(run.lake.scan("model_predictions", run.where), held_out)
    drifted = drift.filter(pl.col("drifted"))
    return dg.AssetCheckResult(
        check_name=DRIFT_CHECK,
        passed=drifted.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "plates unlike the training": drifted["Metadata_Plate"].unique().sort().to_list(),
            "plates with too few cells to judge": drift["drifted"].null_count(),
            "drift": dg.MetadataValue.md(_drift_table(drift)),
        },
    )


def _drift_table(drift: pl.DataFrame) -> str:
    """Cells, index and limit of each plate and model as a Markdown table."""
    lines = [
        f"| {row['Metadata_Plate']} | {row['model_name']} {row['model_version']} | {row['cells']} "
        f"| {row['psi']:.3f} | {row['limit']:.3f} | {row['novel']:.3f} |"
        for row in drift.iter_rows(named=True)
    ]
    head = "| plate | model | cells | stability index | limit | novelty at least 0.99 |"
    return "\n".join([head, "| --- | --- | --- | --- | --- | --- |", *lines])


def _agreement(run: ScreenRun) -> str:
    """Share of cells given their true class, by model and part, as a Markdown table."""
    said = run.lake.read(
        "model_predictions",
        run.where,
        columns=["model_name", "model_version", "split", "label", "true_label"],
    )
    keys = ["model_name", "model_version", "split"]
    shares = (
        said.drop_nulls("true_label")
        .group_by(keys)
        .agg((pl.col("label") == pl.col("true_label")).mean().alias("share"), pl.len())
        .sort(keys)
    )
    lines = [
        f"| {name} {version} | {split} | {share:.3f} | {cells} |"
        for name, version, split, share, cells in shares.iter_rows()
    ]
    return "\n".join(["| model | wells | agreement | cells |", "| --- | --- | --- | --- |", *lines])
