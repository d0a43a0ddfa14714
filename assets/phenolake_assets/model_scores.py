"""Gold asset: measured features and pixels, forests and networks, judged alike."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from phenolake.errors import UnknownNameError
from phenolake.modeling import Encoder, Ensemble, TrainedNetwork
from phenolake.modeling.prediction import model_files
from phenolake.modeling.tracking import Tracker
from phenolake.modeling.weights import read_any
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
    parts = [cell_scores(predictions, costs), *_of_profiles(run, costs, tracker)]
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


def _of_profiles(
    run: ScreenRun, costs: dict[tuple[str, str], Cost], tracker: Tracker
) -> Iterator[pl.DataFrame]:
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
        cost = costs.get((model, version)) or _cost(tracker, model, version, END_TO_END)
        yield profile_scores(embedded, model, version, cost)


def _cost(tracker: Tracker, name: str, version: str, unknown: str = STAGE_WISE) -> Cost:
    """What a version took to make; of one that is not registered only the approach is told."""
    uri = f"models:/{name}/{version}"
    try:
        run_id = tracker.resolve(uri).run_id
    except UnknownNameError:
        return Cost(unknown)
    learned = _learned(uri, tracker)
    data = tracker.client.get_run(run_id).data
    prefix = "data_version."
    versions = {
        key.removeprefix(prefix): value
        for key, value in data.tags.items()
        if key.startswith(prefix)
    }
    return Cost(
        STAGE_WISE if learned is None else END_TO_END,
        int(data.params["cells.train"]) if "cells.train" in data.params else None,
        learned,
        _seconds(data.params.get("fit_seconds")),
        _seconds(data.params.get("fit_cpu_seconds")),
        data.tags.get("split_sha256"),
        ", ".join(f"{table} v{version}" for table, version in versions.items()) or None,
    )


def _learned(uri: str, tracker: Tracker) -> int | None:
    """Numbers that a network, or several that vote, have learned; none of a model on features."""
    with model_files(uri, tracker.tracking_uri) as (folder, _):
        model = read_any(folder)
    members = model.members if isinstance(model, Ensemble) else (model,)
    networks = [one for one in members if isinstance(one, TrainedNetwork | Encoder)]
    return sum(value.size for one in networks for value in one.state.values()) or None


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
