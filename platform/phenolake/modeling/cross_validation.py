"""Every cell judged by a model that saw none of its group, then one model of all cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from phenolake.modeling.calibration import cross_fitted, fit_temperature
from phenolake.modeling.ensemble import Ensemble
from phenolake.modeling.labels import BOTH, TRAIN, VALIDATION, EncodedLabels
from phenolake.modeling.model_parts import Model
from phenolake.modeling.prediction import entropy, evaluate
from phenolake.modeling.splits import split_by

#: Trains on a split: data, names of classes, parts.
Train = Callable[[Any, Sequence[str], np.ndarray], Model]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What held-out models say: `probabilities` (n, class) and `distances` (n,) to a centre.

    `folds`: number of the fold in which each cell was held out, int (n,).
    """

    probabilities: np.ndarray
    distances: np.ndarray
    folds: np.ndarray

    def calibrated(self, truth: np.ndarray) -> np.ndarray:
        """Return probabilities, each fold's by a temperature from the other folds."""
        return cross_fitted(self.probabilities, truth, self.folds)


def fold_numbers(
    keys: pl.DataFrame, by: str, folds: int, seed: int, labels: Sequence[str]
) -> np.ndarray:
    """Return the fold of each row, int (n,); a group is in one fold; see `split_by`.

    Raises
    ------
    TrainingDataError
        If there are fewer groups than folds.
    """
    shares = {str(fold): 1 / folds for fold in range(folds)}
    return split_by(keys, by, shares, seed, labels).astype(int)


def out_of_fold(train: Train, data: Any, labels: EncodedLabels, folds: np.ndarray) -> OutOfFold:
    """Return what each fold's cells are called by a model trained on the other folds.

    A class that only one fold has gets probability 0 in that fold, where no model knows it.

    Raises
    ------
    TrainingDataError
        If what is left can't train a model.
    """
    names = np.array(labels.classes)[labels.codes]
    probabilities = np.zeros((len(names), len(labels.classes)))
    distances = np.zeros(len(names))
    for fold in np.unique(folds):
        held = folds == fold
        # A class met only in this fold can't be learned from the others.
        usable = np.flatnonzero(~held | np.isin(names, names[~held]))
        split = np.where(held[usable], VALIDATION, TRAIN)
        model = train(data[usable], names[usable].tolist(), split)
        known = np.searchsorted(labels.classes, model.classes)
        said, embedding = evaluate(model, data[np.flatnonzero(held)])
        probabilities[np.ix_(held, known)] = said
        distances[held] = model.novelty.nearest(embedding)
    return OutOfFold(probabilities, distances, folds)


def final_model(
    train: Train, data: Any, labels: EncodedLabels, judged: OutOfFold, settings: dict[str, Any]
) -> Ensemble:
    """Return a model trained on all cells, calibrated and scaled by what held-out models said."""
    names = [labels.classes[code] for code in labels.codes]
    model = train(data, names, np.full(len(names), BOTH))
    members = model.members if isinstance(model, Ensemble) else (model,)
    temperature = fit_temperature(judged.probabilities, labels.codes)
    entropies = entropy(judged.calibrated(labels.codes))
    return Ensemble(
        members,
        model.novelty.scaled_by(judged.distances, entropies),
        temperature,
        settings={**model.settings, **settings},
    )
