"""A network that learns from a screen's cells without any label, for embeddings."""

import dagster as dg
from pydantic import Field

from phenolake.identity import PLATE, WELL
from phenolake.modeling.encoder_workflow import register_encoder
from phenolake.stages.crop_sets import drawn_crops
from phenolake.stages.training_sets import CELL_KEYS, draw_cells, label_wells
from phenolake_assets.landing import ScreenRun
from phenolake_assets.model_asset import checkpoints, model_asset, recorded_in, trained
from phenolake_assets.raw_images import plate_map
from phenolake_assets.single_cell_crops import single_cell_crops
from phenolake_resources import LakeResource, MlflowResource, ScreensResource


def encoder_name(screen: str) -> str:
    """Registered name of a screen's encoder."""
    return f"{screen}-encoder"


class EncoderConfig(dg.Config):
    """How the encoder is trained."""

    cells_per_class: int = Field(1000, gt=1, description="cells drawn of each class")
    epochs: int = Field(20, gt=0, description="passes over the training cells")
    seed: int = Field(0, description="seed of the draw, the split, the weights and the views")


@model_asset(single_cell_crops, plate_map, library="pytorch")
def cell_encoder(
    context: dg.AssetExecutionContext,
    config: EncoderConfig,
    lake: LakeResource,
    screens: ScreensResource,
    mlflow: MlflowResource,
) -> dg.MaterializeResult:
    """Encoder of cells, trained without labels (SimCLR) and judged by a cell's nearest neighbours."""
    run = ScreenRun.start(context, lake, screens)
    cells = run.lake.scan("single_cell_crops", run.where)
    wells = label_wells(run.lake.read("plate_map", run.where), run.screen.config.labels)
    drawn = draw_cells(cells, wells, config.cells_per_class, config.seed)
    keys, crops = drawn_crops(run.lake, run.where, drawn)
    with checkpoints(run, "cell_encoder") as checkpoint:
        result = register_encoder(
            crops,
            keys["label"],
            keys=keys.select(CELL_KEYS),
            by=PLATE if keys[PLATE].n_unique() > 1 else WELL,
            name=encoder_name(run.name),
            tracker=mlflow.open(),
            seed=config.seed,
            epochs=config.epochs,
            checkpoint=checkpoint,
            on_epoch=lambda row: context.log.info(f"epoch {row}"),
            **recorded_in(run, "cell_encoder", "single_cell_crops", "plate_map"),
        )
    return trained(result, {"judged by": "nearest training cells", "cells": keys.height})
