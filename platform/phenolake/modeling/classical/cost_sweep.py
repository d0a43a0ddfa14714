"""The cost of a linear classifier, chosen by cross-validation inside its training part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from phenolake.modeling.cross_validation import out_of_fold
from phenolake.modeling.labels import TRAIN, encode_labels
from phenolake.modeling.model_parts import Model
from phenolake.modeling.scores import classification_scores
from phenolake.modeling.splits import fold_numbers, group_columns

#: Leuchowius (2017) searches 2^-10 to 2^10; every second power is tried here.
COSTS = tuple(2.0**power for power in range(-10, 11, 2))
FOLDS = 10
_CHOSEN_BY = "balanced_accuracy"


@dataclass(frozen=True, eq=False)
class CostSweep:
    """Costs tried: `table` has one row each, `cost` and its cross-validated scores; `best` won."""

    table: pl.DataFrame
    best: float


def sweep_costs(
    train: Callable[..., Model],
    data: Any,
    labels: Sequence[str],
    split: np.ndarray,
    keys: pl.DataFrame,
    by: str,
    costs: Sequence[float] = COSTS,
    seed: int = 0,
) -> CostSweep:
    """Return how well each cost does on training cells whose group was held out, and the best.

    Parameters
    ----------
    train
        Trains on data, class names and split, and takes a `cost`.
    split
        Part of each row; only the `train` part is looked at.
    keys, by
        Groups that are held out together, in ten folds or as many as there are groups.

    Notes
    -----
    The best has the highest balanced accuracy; of equal ones the smallest cost.

    Raises
    ------
    TrainingDataError
        If the training part can't be divided into folds that train a model.
    """
    rows = np.flatnonzero(split == TRAIN)
    names = np.asarray(labels)[rows].tolist()
    own, known = keys[rows], encode_labels(names)
    columns = group_columns(own, by)
    groups = own.select(columns).n_unique() if columns else len(rows)
    folds = fold_numbers(own, by, min(FOLDS, groups), seed, names)
    tried = []
    for cost in sorted(costs):
        judged = out_of_fold(partial(train, cost=cost), data[rows], known, folds)
        scores = classification_scores(known.codes, judged.probabilities, known.classes)
        tried.append({"cost": cost, **scores.metrics})
    table = pl.DataFrame(tried)
    return CostSweep(table, float(table["cost"][table[_CHOSEN_BY].arg_max() or 0]))
