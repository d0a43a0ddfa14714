"""Splitting, training, judging, recording and registering a model in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from phenolake.errors import TrainingDataError
from phenolake.identity import WELL
from phenolake.modeling.champion import Promotion
from phenolake.modeling.classical.cost_sweep import CostSweep, sweep_costs
from phenolake.modeling.example_cells import example_pictures
from phenolake.modeling.folded import train_with_folds
from phenolake.modeling.labels import VALIDATION, encode_labels
from phenolake.modeling.measured_crops import (
    MeasuredCrops,
    features_of_crops,
    views_of_features,
)
from phenolake.modeling.methods import NETWORK, WITH_COST, Trainer, train_by_view, trainer_named
from phenolake.modeling.model_parts import Model
from phenolake.modeling.nucleus_encoder import NucleusEncoder
from phenolake.modeling.prediction import evaluate, load_model
from phenolake.modeling.rematch import HeldOut, group_parts, rematch
from phenolake.modeling.run_files import Findings
from phenolake.modeling.scores import ClassificationScores, classification_scores
from phenolake.modeling.splits import (
    CELL,
    SplitSummary,
    fold_numbers,
    split_by,
    summarize_split,
)
from phenolake.modeling.tracking import Tracker
from phenolake.modeling.trained_network import as_crops
from phenolake.modeling.versions import RegisteredVersion, check_model_name


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A trained model, its split, its validation scores and, if registered, its version.

    `validation`: row numbers of the cells the scores are of; `probabilities`: (cell, class) of
    these. `tables`: further findings, such as how well left-out classes were found. `sweep`: the
    costs that were tried, if any.
    """

    model: Model
    split: np.ndarray
    summary: SplitSummary
    scores: ClassificationScores
    validation: np.ndarray
    probabilities: np.ndarray
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    sweep: CostSweep | None = None
    registered: RegisteredVersion | None = None
    promotion: Promotion | None = None


def train(
    data: np.ndarray | pl.DataFrame,
    labels: Iterable[object],
    *,
    keys: pl.DataFrame | None = None,
    by: str | None = None,
    fractions: Mapping[str, float] | None = None,
    method: str | None = None,
    folds: int | None = None,
    costs: Sequence[float] = (),
    seed: int = 0,
    name: str | None = None,
    tracker: Tracker | None = None,
    experiment: str | None = None,
    data_versions: Mapping[str, int] | None = None,
    tags: Mapping[str, str] | None = None,
    report: Callable[[str], None] | None = None,
    **options: Any,
) -> TrainingResult:
    """Train a classifier on crops or on a frame of features, and judge it on held-out cells.

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
    method
        `network`, `forest`, `lda`, `logistic`, `svm`, `boosting`, or several joined by `+`, which
        vote; by default a network on crops and a forest on features. Of crops, the object in the
        middle is measured for methods on features, and looked at by the encoder of the shipped
        nucleus network; a model of each view is trained and their probabilities are multiplied. See
        `measure_crops`, `NucleusEncoder` and `Ensemble`.
    folds
        Hold out every group once, in so many folds. Scores are of all cells then; the model learns
        from all cells, is calibrated, and knows how unlike the known classes a cell must be to be
        called unknown. Without, `fractions` of the groups are held out and never learned from.
    costs
        Costs of `svm` or `logistic` to try by cross-validation within the training cells; the best
        one trains the model, see `sweep_costs`. Each is a nested run in MLflow.
    name
        Registered model. If given, the run is recorded, registered as candidate, and promoted to
        champion if it beats the present one.
    tracker, experiment, data_versions, tags
        Where and with what the run is recorded; the experiment is named as the model by default.
    report
        Told what is being done, for trainings that take minutes.
    **options
        For the method, such as those of `train_network`, `train_forest` or `train_linear`.

    Raises
    ------
    TrainingDataError
        If the data can't train a model, data, labels and keys differ in number, or costs are given
        for a method or for folds that have none to choose.
    ConfigurationError
        If the model can't be registered under this name.
    UnknownNameError
        If there is no such method.
    """
    if costs and (method not in WITH_COST or folds is not None):
        raise TrainingDataError(
            f"costs are tried for {' and '.join(WITH_COST)}, with one held-out part and no folds"
        )
    if not isinstance(data, np.ndarray | pl.DataFrame):
        raise TrainingDataError(
            f"expected an array of crops or a frame of features, got {type(data).__name__}"
        )
    if name is not None:
        check_model_name(name)
    encoded = encode_labels(labels)
    names = [encoded.classes[code] for code in encoded.codes]
    if keys is None:
        keys = _default_keys(data)
    if not len(data) == len(names) == keys.height:
        raise TrainingDataError(
            f"{len(data)} cells, but {len(names)} labels and {keys.height} rows of keys"
        )
    by = by or (WELL if WELL in keys.columns else CELL)
    method = method or ("forest" if isinstance(data, pl.DataFrame) else NETWORK)
    trainer: Trainer = partial(trainer_named(method), seed=seed, **options)
    started, started_cpu = time.perf_counter(), time.process_time()
    learned: Any = data
    crops = data if isinstance(data, np.ndarray) and method != NETWORK else None
    if crops is not None:
        crops = as_crops(crops)
        if report is not None:
            report(f"measuring {len(crops)} crops")
        encoder = NucleusEncoder.shipped()
        learned = features_of_crops(crops, encoder)
        views = views_of_features(learned)
        trainer = partial(train_by_view, method, views, seed=seed, **options)
    tables: dict[str, pl.DataFrame] = {}
    sweep = None
    model: Model
    if folds is None:
        split = split_by(keys, by, fractions, seed, names)
        if costs:
            sweep = sweep_costs(trainer, learned, names, split, keys, by, costs, seed)
            trainer, tables["costs"] = partial(trainer, cost=sweep.best), sweep.table
        model = trainer(learned, names, split)
        validation = np.flatnonzero(split == VALIDATION)
        probabilities = evaluate(model, learned[validation])[0]
    else:
        split = fold_numbers(keys, by, folds, seed, names)
        folded = train_with_folds(trainer, learned, encoded, split, seed, report)
        model, probabilities = folded.model, folded.probabilities
        validation, split = np.arange(len(names)), np.char.add("fold ", split.astype(str))
        if folded.found_new is not None:
            tables["left_out_classes"] = folded.found_new
    cost = {
        "fit_seconds": round(time.perf_counter() - started, 3),
        "fit_cpu_seconds": round(time.process_time() - started_cpu, 3),
    }
    if crops is not None:
        model = MeasuredCrops(model, crops.shape[1:], encoder=encoder)
    result = TrainingResult(
        model,
        split,
        summarize_split(keys, split, by, seed),
        classification_scores(encoded.codes[validation], probabilities, encoded.classes),
        validation,
        probabilities,
        tables,
        sweep,
    )
    if name is None:
        return result
    pictures: dict[str, bytes] = {}
    if isinstance(data, np.ndarray):
        pictures = example_pictures(
            model, as_crops(data[validation]), encoded.codes[validation], probabilities
        )
    tracker = tracker or Tracker()
    run_id = tracker.log_training(
        experiment or name,
        model,
        result.scores,
        result.summary,
        run_name=name,
        params={"method": method, **cost},
        data_versions=data_versions,
        tags=tags,
        findings=Findings(tables, pictures, group_parts(keys, split, by)),
        sweep=sweep,
    )
    version = tracker.register(name, run_id)
    held = HeldOut(keys[validation], by, encoded.codes[validation], probabilities, encoded.classes)
    uri = tracker.tracking_uri
    promotion = tracker.promote(
        name,
        version.version,
        rematch=lambda champion: rematch(
            tracker, champion, held,
            lambda known: evaluate(load_model(known.uri, uri).model, data[validation])[0],
        ),
    )  # fmt: skip
    return replace(result, registered=version, promotion=promotion)


def _default_keys(data: np.ndarray | pl.DataFrame) -> pl.DataFrame:
    if isinstance(data, pl.DataFrame):
        keys = data.select(pl.col("^Metadata_.*$"))
        if keys.width:
            return keys
    return pl.DataFrame({"row": np.arange(len(data))})
