"""Models of a screen, trained in Dagster and kept in MLflow: on features, and a CNN on crops."""

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from phenolake.modeling import train
from phenolake.modeling.classical.cost_sweep import COSTS
from phenolake.modeling.networks import changed_recipe
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
from phenolake_assets.landing import ScreenRun
from phenolake_assets.model_asset import checkpoints, model_asset, recorded_in, trained
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


@model_asset(single_cell_features, plate_map, library="scikitlearn")
def phenotype_forest(
    context: dg.AssetExecutionContext,
    config: ForestConfig,
    lake: LakeResource,
    screens: ScreensResource,
    mlflow: MlflowResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """Random forest, or another method, that tells the classes apart by single-cell features."""
    run = ScreenRun.start(context, lake, screens)
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
        **recorded_in(run, "phenotype_forest", "single_cell_features", "plate_map"),
        **config.options(compute.open().worker_count),
    )
    return trained(result, {"labels": labels, "cells": training.height})


@model_asset(single_cell_crops, plate_map, library="pytorch")
def phenotype_network(
    context: dg.AssetExecutionContext,
    config: NetworkConfig,
    lake: LakeResource,
    screens: ScreensResource,
    mlflow: MlflowResource,
) -> dg.MaterializeResult:
    """Convolutional network that tells the screen's classes apart by single-cell image crops."""
    run = ScreenRun.start(context, lake, screens)
    cells = run.lake.scan("single_cell_crops", run.where)
    drawn, labels = _drawn(run, cells, config)
    training, crops = drawn_crops(run.lake, run.where, drawn)
    keys, by = _held_out(run, training, config)
    with checkpoints(run, "phenotype_network") as checkpoint:
        result = train(
            crops,
            training["label"],
            keys=keys,
            by=by,
            seed=config.seed,
            name=network_name(run.name),
            tracker=mlflow.open(),
            model=config.architecture,
            recipe=changed_recipe(config.architecture, config.recipe),
            start_from=Path(config.start_from) if config.start_from else None,
            members=config.members,
            epochs=config.epochs,
            learning_rate=config.learning_rate,
            checkpoint=checkpoint,
            on_epoch=lambda row: context.log.info(f"epoch {row}"),
            **recorded_in(run, "phenotype_network", "single_cell_crops", "plate_map"),
        )
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
