"""The classifiers one can name, alone or several joined by `+`, each trained in the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from phenolake.errors import TrainingDataError, UnknownNameError
from phenolake.modeling.classical import train_boosting, train_linear
from phenolake.modeling.ensemble import Ensemble
from phenolake.modeling.forest import train_forest
from phenolake.modeling.model_parts import Model
from phenolake.modeling.training import train_network

#: Takes data, labels, split and a seed; further options by name.
Trainer = Callable[..., Model]

#: Methods on features by name.
CLASSICAL: Mapping[str, Trainer] = {
    "forest": train_forest,
    "lda": partial(train_linear, method="lda"),
    "logistic": partial(train_linear, method="logistic"),
    "svm": partial(train_linear, method="svm"),
    "boosting": train_boosting,
}
NETWORK = "network"
#: Methods that weigh errors against the size of their weights.
WITH_COST = ("logistic", "svm")


def trainer_named(method: str) -> Trainer:
    """Return what trains a method, or an ensemble of the methods joined by `+`.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    TrainingDataError
        If a network is to vote with methods on features: join them in an `Ensemble` yourself.
    """
    names = method.split("+")
    for name in names:
        if name != NETWORK and name not in CLASSICAL:
            raise UnknownNameError("method", name, [NETWORK, *CLASSICAL])
    if method == NETWORK:
        return train_network
    if NETWORK in names:
        raise TrainingDataError("a network learns from crops and can't share features with others")
    if len(names) == 1:
        return CLASSICAL[method]
    return partial(_train_together, [CLASSICAL[name] for name in names])


def _train_together(
    trainers: Sequence[Trainer],
    data: pl.DataFrame,
    labels: Sequence[str],
    split: np.ndarray,
    **options: Any,
) -> Ensemble:
    members = tuple(train(data, labels, split, **options) for train in trainers)
    return Ensemble(members, members[0].novelty, settings=members[0].settings)
