"""Gold asset: the cells whose label would teach the screen's models most."""

import dagster as dg
from pydantic import Field

from phenolake.identity import PlateKey
from phenolake.screens.discover import inside
from phenolake.stages.labelling_queues import PREDICTION_COLUMNS, screen_queue
from phenolake.stages.training_sets import annotated_cells
from phenolake.tables import LABELLING_QUEUE
from phenolake_assets.landing import ScreenRun
from phenolake_assets.model_predictions import model_predictions
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.table_asset import table_asset
from phenolake_resources import LakeResource, ScreensResource


class QueueConfig(dg.Config):
    """How long the queues are."""

    count: int = Field(200, gt=0, description="cells in each queue")


@table_asset(LABELLING_QUEUE, screen_partitions, deps=[model_predictions])
def labelling_queue(
    context: dg.AssetExecutionContext,
    config: QueueConfig,
    lake: LakeResource,
    screens: ScreensResource,
) -> dg.MaterializeResult:
    """Cells to label next, by least confidence, margin and disagreement of the screen's models."""
    run = ScreenRun.start(context, lake, screens)
    said = run.lake.read("model_predictions", run.where, columns=["Metadata_Plate"])
    file = run.screen.config.annotations
    labelled = None
    if file is not None and said.height:
        cells = run.lake.scan("model_predictions", run.where)
        labelled = annotated_cells(inside(run.screen.folder, file), cells).cells
    plates = (
        run.lake.read(
            "model_predictions", PlateKey(run.name, plate).where, columns=PREDICTION_COLUMNS
        )
        for plate in said["Metadata_Plate"].unique().sort()
    )
    queue = screen_queue(plates, labelled, config.count)
    commit = run.land(
        LABELLING_QUEUE,
        [] if queue.is_empty() else queue,
        {"count": config.count, "annotations": file},
    )
    queues = queue.group_by("strategy", "model").len() if queue.height else queue
    return run.report(
        commit,
        {
            "queues": queues.height,
            "cells with a label already": 0 if labelled is None else labelled.height,
        },
        [run.unique_keys(LABELLING_QUEUE, run.where)],
    )
