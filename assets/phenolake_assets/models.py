"""Models of a screen, trained in Dagster and kept in MLflow: on features, and a CNN on crops."""

import shutil
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from phenolake.errors import TableMissingError, TrainingDataError
from phenolake.modeling import Tracker, TrainingResult, train
from phenolake.modeling.classical.cost_sweep import COSTS
from phenolake.pictures import as_markdown
from phenolake.pictures.curves import confusion_matrix, training_curves
from phenolake.screens.discover import inside
from phenolake.stages.crop_sets import drawn_crops
from phenolake.stages.training_sets import (
    CELL_KEYS,
    WELL_KEYS,
    annotated_cells,
    draw_cells,
    draw_labelled,
    features_of,
    label_wells,
)
from phenolake.stages.work_folder import work_folder
from phenolake_assets.landing import STORAGE_RETRY, ScreenRun, clear_failures
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.raw_images import plate_map
from phenolake_assets.single_cell_crops import single_cell_crops
from phenolake_assets.single_cell_features import single_cell_features
from phenolake_resources import ComputeResource, LakeResource, MlflowResource, ScreensResource

SPLIT_FILE = "split_of_wells.csv"


def forest_name(screen: str) -> str:
    """Registered name of a screen's model on features: a forest, or what was chosen in its place."""
    return f"{screen}-forest"


def network_name(screen: str) -> str:
    """Registered name of a screen's network."""
    return f"{screen}-network"


_ANNOTATIONS = Field(
    "",
    description="CSV file of labels in the screen's folder; default: `annotations` of screen.yaml, "
    "else the plate map",
)


class ForestConfig(dg.Config):
    """How the model on features is trained."""

    method: str = Field(
        "forest",
        description="forest, lda, logistic, svm or boosting, or several joined by +, which vote",
    )
    costs: list[float] = Field(
        list(COSTS),
        description="costs that svm tries by cross-validation, each a nested run in MLflow; "
        "one alone is taken as it is",
    )
    annotations: str = _ANNOTATIONS
    cells_per_class: int = Field(500, gt=1, description="cells drawn of each class")
    trees: int = Field(200, gt=0, description="trees of the forest")
    seed: int = Field(0, description="seed of the draw, the split and the training")

    def options(self, workers: int) -> dict[str, Any]:
        """What `train` needs to know besides the method."""
        if self.method == "forest":
            return {"trees": self.trees, "workers": workers}
        if self.method != "svm" or not self.costs:
            return {}
        return {"costs": self.costs} if len(self.costs) > 1 else {"cost": self.costs[0]}


class NetworkConfig(dg.Config):
    """How the network is trained."""

    annotations: str = _ANNOTATIONS
    cells_per_class: int = Field(400, gt=1, description="cells drawn of each class")
    epochs: int = Field(8, gt=0, description="passes over the training cells")
    architecture: str = Field(
        "cnn2", description="cnn1, cnn2, cnn3, wide_<n>_<k>, resnet18 or timm:<name>"
    )
    learning_rate: float = Field(
        1e-3, gt=0, description="step size of Adam; the study's 1e-4 needs 500 epochs"
    )
    seed: int = Field(0, description="seed of the draw, the split, the weights and the batches")


def from_all_plates(*assets: dg.AssetsDefinition) -> list[dg.AssetDep]:
    """Dependencies of a screen on all plates of assets whose tables it reads."""
    return [dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping()) for asset in assets]


@dg.asset(
    deps=from_all_plates(single_cell_features, plate_map),
    partitions_def=screen_partitions,
    group_name="models",
    kinds={"mlflow", "scikitlearn"},
    code_version="1",
    pool="training",
    retry_policy=STORAGE_RETRY,
)
def phenotype_forest(
    context: dg.AssetExecutionContext,
    config: ForestConfig,
    lake: LakeResource,
    screens: ScreensResource,
    mlflow: MlflowResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """Random forest, or another method, that tells the classes apart by single-cell features."""
    with clear_failures():
        run = ScreenRun.start(context, lake, screens)
        try:
            cells = run.lake.scan("single_cell_features", run.where)
            drawn, labels = _drawn(run, cells, config)
            training = features_of(cells, drawn)
            tracker = mlflow.open()
            result = train(
                training.drop("label"),
                training["label"],
                keys=training.select(CELL_KEYS),
                method=config.method,
                seed=config.seed,
                name=forest_name(run.name),
                tracker=tracker,
                experiment="phenotype_forest",
                data_versions=_versions(run, "single_cell_features", "plate_map"),
                tags={"dagster_run_id": context.run_id, "screen": run.name},
                **config.options(compute.open().worker_count),
            )
        except (TrainingDataError, TableMissingError) as error:
            return _untrained(run, error)
        return _trained(run, result, tracker, training, labels)


@dg.asset(
    deps=from_all_plates(single_cell_crops, plate_map),
    partitions_def=screen_partitions,
    group_name="models",
    kinds={"mlflow", "pytorch"},
    code_version="1",
    pool="training",
    retry_policy=STORAGE_RETRY,
)
def phenotype_network(
    context: dg.AssetExecutionContext,
    config: NetworkConfig,
    lake: LakeResource,
    screens: ScreensResource,
    mlflow: MlflowResource,
) -> dg.MaterializeResult:
    """Convolutional network that tells the screen's classes apart by single-cell image crops."""
    with clear_failures():
        run = ScreenRun.start(context, lake, screens)
        try:
            cells = run.lake.scan("single_cell_crops", run.where)
            drawn, labels = _drawn(run, cells, config)
            training, crops = drawn_crops(run.lake, run.where, drawn)
            checkpoint = work_folder(run.lake) / "phenotype_network" / run.name
            tracker = mlflow.open()
            result = train(
                crops,
                training["label"],
                keys=training.select(CELL_KEYS),
                seed=config.seed,
                name=network_name(run.name),
                tracker=tracker,
                experiment="phenotype_network",
                data_versions=_versions(run, "single_cell_crops", "plate_map"),
                tags={"dagster_run_id": context.run_id, "screen": run.name},
                model=config.architecture,
                epochs=config.epochs,
                learning_rate=config.learning_rate,
                checkpoint=checkpoint,
                on_epoch=lambda row: context.log.info(f"epoch {row}"),
            )
        except (TrainingDataError, TableMissingError) as error:
            return _untrained(run, error)
        shutil.rmtree(checkpoint, ignore_errors=True)
        return _trained(run, result, tracker, training, labels)


def _drawn(
    run: ScreenRun, cells: pl.LazyFrame, config: ForestConfig | NetworkConfig
) -> tuple[pl.DataFrame, str]:
    """The cells to learn from, labelled by annotations or the plate map; and where labels are from."""
    file = config.annotations or run.screen.config.annotations
    if file is None:
        wells = label_wells(run.lake.read("plate_map", run.where), run.screen.config.labels)
        return draw_cells(cells, wells, config.cells_per_class, config.seed), "plate map"
    annotated = annotated_cells(inside(run.screen.folder, file), cells)
    if annotated.missing.height:
        run.context.log.warning(f"{file}: {annotated.note}")
    drawn = draw_labelled(annotated.cells, config.cells_per_class, config.seed)
    return drawn, f"{file}: {annotated.note}"


def _versions(run: ScreenRun, *tables: str) -> dict[str, int]:
    return {table: run.lake.version(table) for table in tables}


def _untrained(run: ScreenRun, error: Exception) -> dg.MaterializeResult:
    """A screen without cells, images or labels to train on is no failure: the reason is reported."""
    run.context.log.warning(f"no model for screen {run.name}: {error}")
    return dg.MaterializeResult(metadata={"trained": False, "reason": str(error)})


def _trained(
    run: ScreenRun, result: TrainingResult, tracker: Tracker, training: pl.DataFrame, labels: str
) -> dg.MaterializeResult:
    assert result.registered is not None
    assert result.promotion is not None
    wells = (
        training.select(WELL_KEYS)
        .with_columns(split=pl.Series(result.split.tolist()))
        .unique(WELL_KEYS)
    )
    tracker.client.log_text(result.registered.run_id, wells.sort(WELL_KEYS).write_csv(), SPLIT_FILE)
    history = getattr(result.model, "history", [])
    pictures = {"confusion": confusion_matrix(result.scores.confusion, result.scores.classes)}
    if history:
        pictures["curves"] = training_curves(history)
    return dg.MaterializeResult(
        metadata={
            "trained": True,
            "model": result.registered.uri,
            "mlflow run": result.registered.run_id,
            "champion": f"{result.promotion.promoted} ({result.promotion.reason})",
            "split": f"by {result.summary.by}, sha256 {result.summary.sha256[:12]}",
            "labels": labels,
            "cells": training.height,
            "classes": len(result.scores.classes),
            **{
                f"validation {name}": round(value, 4)
                for name, value in result.scores.metrics.items()
            },
            **{
                name: dg.MetadataValue.md(as_markdown(picture, name))
                for name, picture in pictures.items()
            },
        }
    )
