"""One model of all cells, with calibration and novelty learned from cells held out in folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from phenolake.modeling.calibration import fit_temperature
from phenolake.modeling.cross_validation import Train, opinions, out_of_fold, references
from phenolake.modeling.ensemble import Ensemble
from phenolake.modeling.joint_novelty import JointNovelty
from phenolake.modeling.labels import BOTH, EncodedLabels
from phenolake.modeling.model_parts import Model
from phenolake.modeling.neighbour_novelty import NeighbourNovelty
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
    train: Train,
    data: Any,
    labels: EncodedLabels,
    folds: np.ndarray,
    seed: int = 0,
    report: Callable[[str], None] | None = None,
) -> FoldedTraining:
    """Return a calibrated model of all cells, with a novelty threshold, and held-out predictions.

    Parameters
    ----------
    train
        Trains on data, class names and split.
    folds
        Number of the fold in which each cell is held out, int (n,).
    report
        Told what is being done.

    Raises
    ------
    TrainingDataError
        If what is left without a fold can't train a model.
    """
    if report is not None:
        report(f"training with each of {len(np.unique(folds))} folds held out")
    judged = out_of_fold(train, data, labels, folds)
    names = [labels.classes[code] for code in labels.codes]
    model = train(data, names, np.full(len(names), BOTH))
    rehearsals = rehearse(train, data, labels, folds, report)
    found = judge_rehearsals(rehearsals) if rehearsals else None
    calibrated = Ensemble(
        model.members if isinstance(model, Ensemble) else (model,),
        _novelty(model, data, judged.signs, seed) if found else references(model)[0],
        fit_temperature(judged.probabilities, labels.codes),
        found.unknown_above if found else None,
        {**model.settings, "folds": int(folds.max()) + 1},
        model.views if isinstance(model, Ensemble) else (),
    )
    return FoldedTraining(
        calibrated, judged.calibrated(labels.codes), found.classes if found else None
    )


def _novelty(
    model: Model, data: Any, signs: np.ndarray, seed: int
) -> NeighbourNovelty | JointNovelty:
    """The novelty of a model of all cells, on the scale of held-out cells' signs."""
    known, embeddings = references(model), opinions(model, data)[1]
    if len(known) == 1:
        return NeighbourNovelty.fit(known[0], embeddings[0], signs, seed)
    return JointNovelty.fit(known, embeddings, signs, seed)
