"""A network that learns from a screen's cells without any label, for embeddings."""

import shutil

import dagster as dg
from pydantic import Field

from phenolake.errors import TableMissingError, TrainingDataError
from phenolake.identity import PLATE, WELL
from phenolake.modeling.encoder_workflow import register_encoder
from phenolake.stages.crop_sets import drawn_crops
from phenolake.stages.training_sets import CELL_KEYS, draw_cells, label_wells
from phenolake.stages.work_folder import work_folder
from phenolake_assets.landing import STORAGE_RETRY, ScreenRun, clear_failures
from phenolake_assets.models import from_all_plates, trained, untrained, versions_of
from phenolake_assets.partitions import screens as screen_partitions
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


@dg.asset(
    deps=from_all_plates(single_cell_crops, plate_map),
    partitions_def=screen_partitions,
    group_name="models",
    kinds={"mlflow", "pytorch"},
    code_version="1",
    pool="training",
    retry_policy=STORAGE_RETRY,
)
def cell_encoder(
    context: dg.AssetExecutionContext,
    config: EncoderConfig,
    lake: LakeResource,
    screens: ScreensResource,
    mlflow: MlflowResource,
) -> dg.MaterializeResult:
    """Encoder of cells, trained without labels (SimCLR) and judged by a cell's nearest neighbours."""
    with clear_failures():
        run = ScreenRun.start(context, lake, screens)
        try:
            cells = run.lake.scan("single_cell_crops", run.where)
            wells = label_wells(run.lake.read("plate_map", run.where), run.screen.config.labels)
            drawn = draw_cells(cells, wells, config.cells_per_class, config.seed)
            keys, crops = drawn_crops(run.lake, run.where, drawn)
            checkpoint = work_folder(run.lake) / "cell_encoder" / run.name
            result = register_encoder(
                crops,
                keys["label"],
                keys=keys.select(CELL_KEYS),
                by=PLATE if keys[PLATE].n_unique() > 1 else WELL,
                name=encoder_name(run.name),
                tracker=mlflow.open(),
                experiment="cell_encoder",
                seed=config.seed,
                data_versions=versions_of(run, "single_cell_crops", "plate_map"),
                tags={"dagster_run_id": context.run_id, "screen": run.name},
                epochs=config.epochs,
                checkpoint=checkpoint,
                on_epoch=lambda row: context.log.info(f"epoch {row}"),
            )
        except (TrainingDataError, TableMissingError) as error:
            return untrained(run, error)
        shutil.rmtree(checkpoint, ignore_errors=True)
        return trained(result, {"judged by": "nearest training cells", "cells": keys.height})
