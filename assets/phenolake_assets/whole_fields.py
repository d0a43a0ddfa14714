"""Models of whole fields, which need no segmentation, and what they say about every field."""

from collections.abc import Iterator, Sequence
from typing import Literal

import dagster as dg
import pyarrow as pa
from pydantic import Field

from phenolake.identity import PlateKey
from phenolake.modeling import train
from phenolake.stages.applied_models import (
    FIELDS,
    JUDGES,
    chosen_models,
    refuse_models_of_cells,
    well_parts,
)
from phenolake.stages.predictions import AppliedModel, field_predictions_of
from phenolake.stages.training_sets import label_wells
from phenolake.stages.whole_fields import drawn_fields
from phenolake.tables import FIELD_PREDICTIONS
from phenolake_assets.illumination_functions import illumination_functions
from phenolake_assets.image_quality import image_quality
from phenolake_assets.landing import ScreenRun
from phenolake_assets.model_asset import checkpoints, model_asset, recorded_in, trained
from phenolake_assets.partitions import from_all_plates
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.raw_images import plate_map, raw_image_catalog
from phenolake_assets.table_asset import table_asset
from phenolake_resources import ComputeResource, LakeResource, MlflowResource, ScreensResource


def field_network_name(screen: str) -> str:
    """Registered name of a screen's network of whole fields."""
    return f"{screen}-fields"


class FieldNetworkConfig(dg.Config):
    """How the network of whole fields is trained."""

    architecture: Literal["multiple_instance", "multi_scale"] = Field(
        "multiple_instance", description="attention over places, or several scales at once"
    )
    size: int = Field(128, ge=16, le=1024, description="edge of the shrunken field in pixels")
    fields_per_class: int = Field(500, gt=1, description="fields drawn of each class")
    epochs: int = Field(20, gt=0, description="passes over the training fields")
    seed: int = Field(0, description="seed of the draw, the split, the weights and the batches")


@model_asset(raw_image_catalog, illumination_functions, image_quality, plate_map, library="pytorch")
def phenotype_field_network(
    context: dg.AssetExecutionContext,
    config: FieldNetworkConfig,
    lake: LakeResource,
    screens: ScreensResource,
    mlflow: MlflowResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """Network that tells the screen's classes apart by whole fields, without segmentation."""
    run = ScreenRun.start(context, lake, screens)
    wells = label_wells(run.lake.read("plate_map", run.where), run.screen.config.labels)
    keys, fields = drawn_fields(
        run.lake, run.where, wells, run.screen.config, compute.open(),
        size=config.size, per_class=config.fields_per_class, seed=config.seed,
    )  # fmt: skip
    tables = ("raw_image_catalog", "illumination_functions", "plate_map")
    with checkpoints(run, "phenotype_field_network") as checkpoint:
        result = train(
            fields,
            keys["label"],
            keys=keys.drop("label"),
            seed=config.seed,
            name=field_network_name(run.name),
            tracker=mlflow.open(),
            model=config.architecture,
            epochs=config.epochs,
            checkpoint=checkpoint,
            on_epoch=lambda row: context.log.info(f"epoch {row}"),
            **recorded_in(run, "phenotype_field_network", *tables, tags={JUDGES: FIELDS}),
        )
    return trained(result, {"labels": "plate map", "fields": keys.height})


class FieldPredictionConfig(dg.Config):
    """Which models of whole fields are applied."""

    models: list[str] = Field(
        [],
        description="models:/<name>@<alias> or models:/<name>/<version>, also of other screens; "
        "default: the champion of the screen's network of whole fields",
    )


@table_asset(
    FIELD_PREDICTIONS,
    screen_partitions,
    deps=[
        phenotype_field_network,
        *from_all_plates(raw_image_catalog, illumination_functions, image_quality, plate_map),
    ],
    pool="measurement",
)
def field_predictions(
    context: dg.AssetExecutionContext,
    config: FieldPredictionConfig,
    lake: LakeResource,
    screens: ScreensResource,
    mlflow: MlflowResource,
    compute: ComputeResource,
) -> dg.MaterializeResult:
    """Class, probabilities, uncertainty and novelty of every field by each model of fields."""
    run = ScreenRun.start(context, lake, screens)
    tracker = mlflow.open()
    models = chosen_models(config.models, [field_network_name(run.name)], tracker)
    refuse_models_of_cells(tracker, models)
    uris = [f"models:/{model.name}/{model.version}" for model in models]
    treatments = run.lake.read("plate_map", run.where)
    wells = label_wells(treatments, run.screen.config.labels)
    applied = [AppliedModel(m, well_parts(run.name, tracker, m), wells) for m in models]
    plates = treatments["Metadata_Plate"].unique().sort().to_list()
    rows = _rows(run, applied, plates, compute)
    commit = run.land(FIELD_PREDICTIONS, rows, parameters={"models": uris})
    return run.report(commit, {"models": uris}, [run.unique_keys(FIELD_PREDICTIONS, run.where)])


def _rows(
    run: ScreenRun, applied: Sequence[AppliedModel], plates: Sequence[str], compute: ComputeResource
) -> Iterator[pa.Table]:
    for model in applied:
        for plate in plates:
            key = PlateKey(run.name, plate)
            yield from field_predictions_of(run.lake, key, model, run.screen.config, compute.open())
