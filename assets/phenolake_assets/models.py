"""Models of a screen, trained in Dagster and kept in MLflow: on features, and a CNN on crops."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from phenolake.errors import TableMissingError, TrainingDataError
from phenolake.modeling import TrainingResult, train
from phenolake.modeling.classical.cost_sweep import COSTS
from phenolake.modeling.encoder_workflow import EncoderResult
from phenolake.modeling.networks import changed_recipe
from phenolake.pictures import as_markdown
from phenolake.pictures.curves import confusion_matrix, training_curves
from phenolake.screens.discover import inside
from phenolake.stages.crop_sets import drawn_crops
from phenolake.stages.training_sets import (
    CELL_KEYS,
    annotated_cells,
    draw_cells,
    draw_labelled,
    features_of,
    held_out_by,
    label_wells,
)
from phenolake.stages.work_folder import work_folder
from phenolake_assets.landing import STORAGE_RETRY, ScreenRun, clear_failures
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.raw_images import plate_map
from phenolake_assets.single_cell_crops import single_cell_crops
from phenolake_assets.single_cell_features import single_cell_features
from phenolake_resources import ComputeResource, LakeResource, MlflowResource, ScreensResource


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


class SplitConfig(dg.Config):
    """What judges a model."""

    held_out: str = Field(
        "well", description="what is held out as a whole: well, plate, batch or compound"
    )


class ForestConfig(SplitConfig):
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
    folds: int = Field(
        0,
        ge=0,
        description="hold every group out once, in so many folds: the model then learns from all "
        "cells, is calibrated and knows when to say unknown; 0: a fifth is held out, once",
    )
    trees: int = Field(200, gt=0, description="trees of the forest")
    correlation_limit: float | None = Field(
        None,
        description="drop a feature that correlates above this with an earlier one; default: 0.95, "
        "for the forest none",
    )
    seed: int = Field(0, description="seed of the draw, the split and the training")

    def options(self, workers: int) -> dict[str, Any]:
        """What `train` needs to know besides the method."""
        options: dict[str, Any] = {"folds": self.folds or None}
        if self.correlation_limit is not None:
            options["correlation_limit"] = self.correlation_limit
        if self.method == "forest":
            options |= {"trees": self.trees, "workers": workers}
        if self.method == "svm" and len(self.costs) == 1:
            options["cost"] = self.costs[0]
        elif self.method == "svm" and not self.folds:
            options["costs"] = self.costs
        return options


class NetworkConfig(SplitConfig):
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
    recipe: dict[str, Any] = Field(
        {},
        description="changes to the network's recipe, such as {loss: generalized, patience: 5, "
        "label_smoothing: 0.1, intensity: 0.2, precision: bfloat16}",
    )
    start_from: str = Field(
        "", description="local file of weights for the network's body, such as pretrained ones"
    )
    members: int = Field(
        1, gt=0, description="networks that vote, each from other first weights and draws"
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
            keys, by = _held_out(run, training, config)
            result = train(
                training.drop("label"),
                training["label"],
                keys=keys,
                by=by,
                method=config.method,
                seed=config.seed,
                name=forest_name(run.name),
                tracker=mlflow.open(),
                experiment="phenotype_forest",
                data_versions=versions_of(run, "single_cell_features", "plate_map"),
                tags={"dagster_run_id": context.run_id, "screen": run.name},
                **config.options(compute.open().worker_count),
            )
        except (TrainingDataError, TableMissingError) as error:
            return untrained(run, error)
        return trained(result, {"labels": labels, "cells": training.height})


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
            keys, by = _held_out(run, training, config)
            checkpoint = work_folder(run.lake) / "phenotype_network" / run.name
            result = train(
                crops,
                training["label"],
                keys=keys,
                by=by,
                seed=config.seed,
                name=network_name(run.name),
                tracker=mlflow.open(),
                experiment="phenotype_network",
                data_versions=versions_of(run, "single_cell_crops", "plate_map"),
                tags={"dagster_run_id": context.run_id, "screen": run.name},
                model=config.architecture,
                recipe=changed_recipe(config.architecture, config.recipe),
                start_from=Path(config.start_from) if config.start_from else None,
                members=config.members,
                epochs=config.epochs,
                learning_rate=config.learning_rate,
                checkpoint=checkpoint,
                on_epoch=lambda row: context.log.info(f"epoch {row}"),
            )
        except (TrainingDataError, TableMissingError) as error:
            return untrained(run, error)
        shutil.rmtree(checkpoint, ignore_errors=True)
        return trained(result, {"labels": labels, "cells": training.height})


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


def _held_out(
    run: ScreenRun, training: pl.DataFrame, config: SplitConfig
) -> tuple[pl.DataFrame, str]:
    """Key columns of the training cells, and the column of what is held out."""
    plate_map = run.lake.read("plate_map", run.where)
    return held_out_by(training.select(CELL_KEYS), config.held_out, plate_map)


def versions_of(run: ScreenRun, *tables: str) -> dict[str, int]:
    """Delta versions of the tables that a model learns from."""
    return {table: run.lake.version(table) for table in tables}


def untrained(run: ScreenRun, error: Exception) -> dg.MaterializeResult:
    """A screen without cells, images or labels to train on is no failure: the reason is reported."""
    run.context.log.warning(f"no model for screen {run.name}: {error}")
    return dg.MaterializeResult(metadata={"trained": False, "reason": str(error)})


def trained(
    result: TrainingResult | EncoderResult, facts: Mapping[str, str | int]
) -> dg.MaterializeResult:
    """What people look for first of a model that was trained and registered."""
    assert result.registered is not None
    assert result.promotion is not None
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
            **facts,
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
