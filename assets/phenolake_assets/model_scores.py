"""Gold asset: measured features and pixels, forests and networks, judged alike."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from phenolake.errors import UnknownNameError
from phenolake.modeling import Ensemble, LoadedModel, TrainedNetwork, load_model
from phenolake.modeling.tracking import Tracker
from phenolake.stages.model_scores import (
    END_TO_END,
    STAGE_WISE,
    Cost,
    cell_scores,
    profile_scores,
)
from phenolake.tables import MODEL_SCORES
from phenolake_assets.embeddings import UNCORRECTED, embedding_profiles
from phenolake_assets.landing import ScreenRun
from phenolake_assets.model_predictions import model_predictions
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.screen_profiles import batch_corrected_profiles
from phenolake_assets.table_asset import table_asset
from phenolake_resources import LakeResource, MlflowResource, ScreensResource


@table_asset(
    MODEL_SCORES,
    screen_partitions,
    deps=[model_predictions, embedding_profiles, batch_corrected_profiles],
    kinds=["mlflow"],
)
def model_scores(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    screens: ScreensResource,
    mlflow: MlflowResource,
) -> dg.MaterializeResult:
    """Stage-wise and end-to-end models on the same cells and wells, with their cost and data."""
    run = ScreenRun.start(context, lake, screens)
    tracker = mlflow.open()
    predictions = run.lake.read("model_predictions", run.where)
    models = predictions.select("model_name", "model_version").unique().sort(pl.all())
    costs = {(name, version): _cost(tracker, name, version) for name, version in models.iter_rows()}
    parts = [cell_scores(predictions, costs), *_of_profiles(run, costs)]
    parts = [part for part in parts if part.height]
    rows = pl.concat(parts, how="diagonal_relaxed") if parts else pl.DataFrame()
    commit = run.land(
        MODEL_SCORES,
        [] if rows.is_empty() else rows,
        parameters={
            table: run.lake.version(table)
            for table in ("model_predictions", "embedding_profiles", "batch_corrected_profiles")
        },
    )
    return run.report(
        commit,
        {"scores": dg.MetadataValue.md(_table(rows))},
        [run.unique_keys(MODEL_SCORES, run.where)],
    )


def _of_profiles(run: ScreenRun, costs: dict[tuple[str, str], Cost]) -> Iterator[pl.DataFrame]:
    """Profiles of features and profiles of embeddings, after the same corrections."""
    recipe = run.screen.config.recipe
    measured = run.lake.read("batch_corrected_profiles", run.where)
    if measured.height:
        yield profile_scores(measured, "measured features", recipe, Cost(STAGE_WISE))
    embedded = run.lake.read("embedding_profiles", run.where).filter(
        pl.col("Metadata_Correction") != UNCORRECTED
    )
    if embedded.height:
        model, _, version = embedded["Metadata_Model"][0].rpartition("/")
        yield profile_scores(
            embedded, model, version, costs.get((model, version), Cost(END_TO_END))
        )


def _cost(tracker: Tracker, name: str, version: str) -> Cost:
    try:
        model = load_model(f"models:/{name}/{version}", tracker.tracking_uri)
    except UnknownNameError:
        return Cost(STAGE_WISE)
    data = tracker.client.get_run(model.run_id).data
    prefix = "data_version."
    versions = {
        key.removeprefix(prefix): value
        for key, value in data.tags.items()
        if key.startswith(prefix)
    }
    return Cost(
        END_TO_END if _networks(model) else STAGE_WISE,
        int(data.params["cells.train"]) if "cells.train" in data.params else None,
        _learned(model),
        _seconds(data.params.get("fit_seconds")),
        _seconds(data.params.get("fit_cpu_seconds")),
        data.tags.get("split_sha256"),
        ", ".join(f"{table} v{version}" for table, version in versions.items()) or None,
    )


def _learned(model: LoadedModel) -> int | None:
    networks = _networks(model)
    return sum(value.size for one in networks for value in one.state.values()) or None


def _networks(model: LoadedModel) -> list[TrainedNetwork]:
    """The network, or those that vote; none of a model on features."""
    members = model.model.members if isinstance(model.model, Ensemble) else [model.model]
    return [member for member in members if isinstance(member, TrainedNetwork)]


def _seconds(text: str | None) -> float | None:
    return None if text is None else float(text)


def _table(rows: pl.DataFrame) -> str:
    lines = ["| model | approach | question | score | value |", "| --- | --- | --- | --- | --- |"]
    if rows.height:
        chosen = rows.select("model_name", "approach", "question", "score", "value")
        lines += [
            f"| {' | '.join(map(str, texts))} | {'-' if value is None else f'{value:.3f}'} |"
            for *texts, value in chosen.iter_rows()
        ]
    return "\n".join(lines)
