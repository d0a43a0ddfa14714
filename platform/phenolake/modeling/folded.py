"""One model of all cells, with calibration and novelty learned from cells held out in folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from phenolake.modeling.calibration import fit_temperature
from phenolake.modeling.cross_validation import Train, out_of_fold
from phenolake.modeling.ensemble import Ensemble
from phenolake.modeling.labels import BOTH, EncodedLabels
from phenolake.modeling.neighbour_novelty import NeighbourNovelty
from phenolake.modeling.novelty import NoveltyReference
from phenolake.modeling.prediction import evaluate
from phenolake.modeling.rehearsal import judge_rehearsals, rehearse


@dataclass(frozen=True, eq=False)
class FoldedTraining:
    """A model of all cells, and what held-out models said of them: `probabilities` (n, class).

    `found_new`: one row per class, how well it was found when left out; none for two classes.
    """

    model: Ensemble
    probabilities: np.ndarray
    found_new: pl.DataFrame | None


def train_with_folds(
    train: Train, data: Any, labels: EncodedLabels, folds: np.ndarray, seed: int = 0
) -> FoldedTraining:
    """Return a calibrated model of all cells, with a novelty threshold, and held-out predictions.

    Parameters
    ----------
    train
        Trains on data, class names and split.
    folds
        Number of the fold in which each cell is held out, int (n,).

    Raises
    ------
    TrainingDataError
        If what is left without a fold can't train a model.
    """
    judged = out_of_fold(train, data, labels, folds)
    names = [labels.classes[code] for code in labels.codes]
    model = train(data, names, np.full(len(names), BOTH))
    reference = model.novelty
    assert isinstance(reference, NoveltyReference)
    rehearsals = rehearse(train, data, labels, folds)
    found = judge_rehearsals(rehearsals) if rehearsals else None
    novelty = (
        NeighbourNovelty.fit(reference, evaluate(model, data)[1], judged.signs, seed)
        if found
        else reference
    )
    calibrated = Ensemble(
        model.members if isinstance(model, Ensemble) else (model,),
        novelty,
        fit_temperature(judged.probabilities, labels.codes),
        found.unknown_above if found else None,
        {**model.settings, "folds": int(folds.max()) + 1},
    )
    return FoldedTraining(
        calibrated, judged.calibrated(labels.codes), found.classes if found else None
    )
