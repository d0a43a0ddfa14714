"""The decorator of every asset that trains a model of a screen, and what such assets report."""

import functools
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from phenolake.errors import TableMissingError, TrainingDataError
from phenolake.modeling import TrainingResult
from phenolake.modeling.encoder_workflow import EncoderResult
from phenolake.pictures import as_markdown
from phenolake.pictures.curves import confusion_matrix, training_curves
from phenolake.stages.work_folder import work_folder
from phenolake_assets.landing import STORAGE_RETRY, ScreenRun, clear_failures
from phenolake_assets.partitions import from_all_plates, screens


def model_asset(
    *learns_from: dg.AssetsDefinition, library: str
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """Return `dagster.asset` for a model of a screen that learns from all plates of these assets.

    A screen without cells, images or labels to train on is no failure: the reason is reported.
    """
    asset = dg.asset(
        deps=from_all_plates(*learns_from),
        partitions_def=screens,
        group_name="models",
        kinds={"mlflow", library},
        code_version="1",
        pool="training",
        retry_policy=STORAGE_RETRY,
    )

    def decorate(train: Callable[..., dg.MaterializeResult]) -> dg.AssetsDefinition:
        @functools.wraps(train)
        def train_or_say_why(
            context: dg.AssetExecutionContext, **needs: Any
        ) -> dg.MaterializeResult:
            try:
                return train(context, **needs)
            except (TrainingDataError, TableMissingError) as error:
                context.log.warning(f"no model for screen {context.partition_key}: {error}")
                return dg.MaterializeResult(metadata={"trained": False, "reason": str(error)})

        return asset(clear_failures()(train_or_say_why))

    return decorate


@contextmanager
def checkpoints(run: ScreenRun, model: str) -> Iterator[Path]:
    """Folder from which a training that was killed goes on; removed when the training has ended."""
    folder = work_folder(run.lake) / model / run.name
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def recorded_in(
    run: ScreenRun, model: str, *tables: str, tags: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Experiment, versions of the tables that were learned from, and tags of a training's MLflow run."""
    return {
        "experiment": model,
        "data_versions": {table: run.lake.version(table) for table in tables},
        "tags": {"dagster_run_id": run.context.run_id, "screen": run.name, **(tags or {})},
    }


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
