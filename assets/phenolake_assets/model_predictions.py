"""Gold asset: what the screen's champion models say about every cell."""

import io
from collections.abc import Iterator

import dagster as dg
import polars as pl
import pyarrow as pa

from phenolake.errors import UnknownNameError
from phenolake.identity import PlateKey
from phenolake.modeling import LoadedModel, Tracker, load_model
from phenolake.stages.crop_sets import stored_crops
from phenolake.stages.predictions import forest_predictions, network_predictions
from phenolake.stages.training_sets import label_wells
from phenolake.tables import MODEL_PREDICTIONS
from phenolake_assets.landing import ScreenRun
from phenolake_assets.models import (
    SPLIT_FILE,
    forest_name,
    from_all_plates,
    network_name,
    phenotype_forest,
    phenotype_network,
)
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.raw_images import plate_map
from phenolake_assets.single_cell_crops import single_cell_crops
from phenolake_assets.single_cell_features import single_cell_features
from phenolake_assets.table_asset import table_asset
from phenolake_resources import LakeResource, MlflowResource, ScreensResource


@table_asset(
    MODEL_PREDICTIONS,
    screen_partitions,
    deps=[
        phenotype_forest,
        phenotype_network,
        *from_all_plates(single_cell_features, single_cell_crops, plate_map),
    ],
)
def model_predictions(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    screens: ScreensResource,
    mlflow: MlflowResource,
) -> dg.MaterializeResult:
    """Class, probabilities and novelty of every cell by each champion, with its MLflow run."""
    run = ScreenRun.start(context, lake, screens)
    tracker = mlflow.open()
    champions = [
        model
        for name in (forest_name(run.name), network_name(run.name))
        if (model := _champion(tracker, name)) is not None
    ]
    rows = (table for model in champions for table in _predictions(run, model, tracker))
    commit = run.land(
        MODEL_PREDICTIONS,
        rows,
        parameters={
            "models": [f"models:/{model.name}/{model.version}" for model in champions],
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
        {
            "models": [f"models:/{model.name}/{model.version}" for model in champions],
            "agreement with the plate map": dg.MetadataValue.md(_agreement(run)),
        },
        [run.unique_keys(MODEL_PREDICTIONS, run.where)],
    )


def _champion(tracker: Tracker, name: str) -> LoadedModel | None:
    try:
        return load_model(f"models:/{name}@champion", tracker.tracking_uri)
    except UnknownNameError:
        return None


def _predictions(run: ScreenRun, model: LoadedModel, tracker: Tracker) -> Iterator[pa.Table]:
    treatments = run.lake.read("plate_map", run.where)
    wells = label_wells(treatments, run.screen.config.labels)
    parts = _parts(tracker, model)
    for plate in treatments["Metadata_Plate"].unique().sort():
        key = PlateKey(run.name, plate)
        run.context.log.info(f"{model.name} version {model.version}: plate {plate}")
        if model.takes == "features":
            batches = (pl.DataFrame(b) for b in run.lake.batches("single_cell_features", key.where))
            yield from forest_predictions(batches, model, wells, parts)
        else:
            crops = stored_crops(run.lake, key.where)
            yield from network_predictions(crops, model, wells, parts)


def _parts(tracker: Tracker, model: LoadedModel) -> pl.DataFrame:
    """Which well trained the model and which judged it, as recorded with its run."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = tracker.client.download_artifacts(model.run_id, SPLIT_FILE, folder)
        return pl.read_csv(io.BytesIO(Path(path).read_bytes()), infer_schema=False)


def _agreement(run: ScreenRun) -> str:
    """Share of cells given the class of their well, by model and part, as a Markdown table."""
    said = run.lake.read(
        "model_predictions", run.where, columns=["model_name", "split", "label", "true_label"]
    )
    shares = (
        said.drop_nulls("true_label")
        .group_by("model_name", "split")
        .agg((pl.col("label") == pl.col("true_label")).mean().alias("share"), pl.len())
        .sort("model_name", "split")
    )
    lines = [
        f"| {name} | {split} | {share:.3f} | {cells} |"
        for name, split, share, cells in shares.iter_rows()
    ]
    return "\n".join(["| model | wells | agreement | cells |", "| --- | --- | --- | --- |", *lines])
