"""Every cell judged by a model that saw none of its group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phenolake.modeling.calibration import cross_fitted
from phenolake.modeling.ensemble import Ensemble
from phenolake.modeling.labels import BOTH, TRAIN, VALIDATION, EncodedLabels
from phenolake.modeling.model_parts import Model
from phenolake.modeling.neighbour_novelty import read_signs, training_directions
from phenolake.modeling.novelty import NoveltyReference
from phenolake.modeling.prediction import evaluate

#: Trains on a split: data, names of classes, parts.
Train = Callable[[Any, Sequence[str], np.ndarray], Model]


@dataclass(frozen=True, eq=False)
class Judged:
    """What a model says of cells: its classes, `probabilities` (n, class), `signs` of novelty."""

    classes: tuple[str, ...]
    probabilities: np.ndarray
    signs: np.ndarray


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What held-out models say of all cells: `probabilities` (n, class) and `signs` (n, sign).

    `folds`: number of the fold in which each cell was held out, int (n,).
    """

    probabilities: np.ndarray
    signs: np.ndarray
    folds: np.ndarray

    def calibrated(self, truth: np.ndarray) -> np.ndarray:
        """Return probabilities, each fold's by a temperature from the other folds."""
        return cross_fitted(self.probabilities, truth, self.folds)


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
    signs = np.zeros((len(names), 0))
    for fold in np.unique(folds):
        rows, judged = judge_fold(train, data, names, folds == fold, np.ones(len(names), bool))
        known = np.searchsorted(labels.classes, judged.classes)
        probabilities[np.ix_(rows, known)] = judged.probabilities
        if not signs.shape[1]:
            signs = np.zeros((len(names), judged.signs.shape[1]))
        signs[rows] = judged.signs
    return OutOfFold(probabilities, signs, folds)


def judge_fold(
    train: Train, data: Any, names: np.ndarray, held: np.ndarray, learnable: np.ndarray
) -> tuple[np.ndarray, Judged]:
    """Return row numbers of the held-out cells, and what a model of the learnable others says."""
    # Cells of a class that the training part lacks can be judged, but not be its validation part.
    usable = np.flatnonzero(learnable & (~held | np.isin(names, names[~held & learnable])))
    # With nothing to validate on, the training cells themselves scale the distances.
    split = np.where(held[usable], VALIDATION, TRAIN if held[usable].any() else BOTH)
    model = train(data[usable], names[usable].tolist(), split)
    _, trained = opinions(model, data[usable[split != VALIDATION]])
    rows = np.flatnonzero(held)
    probabilities, embeddings = opinions(model, data[rows])
    signs = [
        read_signs(reference, *training_directions(reference, known), embedding)
        for reference, known, embedding in zip(references(model), trained, embeddings, strict=True)
    ]
    return rows, Judged(model.classes, probabilities, np.concatenate(signs, axis=1))


def opinions(model: Model, data: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return class probabilities, and the embedding (n, d) of each view that novelty looks at."""
    if isinstance(model, Ensemble) and model.views:
        votes, embeddings = model.opinions(data)
        return model.pooled(votes), embeddings
    probabilities, embedding = evaluate(model, data)
    return probabilities, [embedding]


def references(model: Model) -> list[NoveltyReference]:
    """Return the reference of each view of a model that was just trained."""
    viewing = model.members if isinstance(model, Ensemble) and model.views else (model,)
    found = [member.novelty for member in viewing]
    assert all(isinstance(reference, NoveltyReference) for reference in found)
    return found  # type: ignore[return-value]
