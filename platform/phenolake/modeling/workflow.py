"""Splitting, training, judging, recording and registering a model in one call."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from phenolake.identity import WELL
from phenolake.modeling.champion import Promotion
from phenolake.modeling.forest import train_forest
from phenolake.modeling.labels import VALIDATION, encode_labels
from phenolake.modeling.prediction import evaluate
from phenolake.modeling.scores import ClassificationScores, classification_scores
from phenolake.modeling.splits import CELL, SplitSummary, split_by, summarize_split
from phenolake.modeling.tracking import RegisteredVersion, Tracker
from phenolake.modeling.training import train_network
from phenolake.modeling.weights import Model


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A trained model, its split, its validation scores and, if registered, its version."""

    model: Model
    split: np.ndarray
    summary: SplitSummary
    scores: ClassificationScores
    registered: RegisteredVersion | None = None
    promotion: Promotion | None = None


def train(
    data: np.ndarray | pl.DataFrame,
    labels: Iterable[object],
    *,
    keys: pl.DataFrame | None = None,
    by: str | None = None,
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
    name: str | None = None,
    tracker: Tracker | None = None,
    experiment: str | None = None,
    data_versions: Mapping[str, int] | None = None,
    tags: Mapping[str, str] | None = None,
    **options: Any,
) -> TrainingResult:
    """Train a network on crops or a forest on a frame of features, and judge it on held-out cells.

    Parameters
    ----------
    data
        Crops (n, channel, size, size) or (n, size, size), or a frame whose columns without
        `Metadata_` are features.
    labels
        Class of each cell.
    keys
        Key columns of each cell; by default the `Metadata_` columns of the frame.
    by
        What is held out, see `split_by`; by default wells where known, else single cells.
    name
        Registered model. If given, the run is recorded, registered as candidate, and promoted to
        champion if it beats the present one.
    tracker, experiment, data_versions, tags
        Where and with what the run is recorded; the experiment is named as the model by default.
    **options
        For `train_network` or `train_forest`.

    Raises
    ------
    TrainingDataError
        If the data can't train a model.
    """
    encoded = encode_labels(labels)
    names = [encoded.classes[code] for code in encoded.codes]
    if keys is None:
        keys = _default_keys(data)
    by = by or (WELL if WELL in keys.columns else CELL)
    split = split_by(keys, by, fractions, seed, names)
    trainer: Any = train_forest if isinstance(data, pl.DataFrame) else train_network
    started, started_cpu = time.perf_counter(), time.process_time()
    model: Model = trainer(data, names, split, seed=seed, **options)
    cost = {
        "fit_seconds": round(time.perf_counter() - started, 3),
        "fit_cpu_seconds": round(time.process_time() - started_cpu, 3),
    }
    held_out = np.flatnonzero(split == VALIDATION)
    probabilities = evaluate(model, data[held_out])[0]
    scores = classification_scores(encoded.codes[held_out], probabilities, model.classes)
    summary = summarize_split(keys, split, by, seed)
    result = TrainingResult(model, split, summary, scores)
    if name is None:
        return result
    tracker = tracker or Tracker()
    run_id = tracker.log_training(
        experiment or name,
        model,
        scores,
        summary,
        run_name=name,
        params=cost,
        data_versions=data_versions,
        tags=tags,
    )
    version = tracker.register(name, run_id)
    return TrainingResult(
        model, split, summary, scores, version, tracker.promote(name, version.version)
    )


def _default_keys(data: np.ndarray | pl.DataFrame) -> pl.DataFrame:
    if isinstance(data, pl.DataFrame):
        keys = data.select(pl.col("^Metadata_.*$"))
        if keys.width:
            return keys
    return pl.DataFrame({"row": np.arange(len(data))})
