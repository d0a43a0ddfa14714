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
from phenolake.modeling.measured_crops import ENCODER_VIEW
from phenolake.modeling.model_parts import Model
from phenolake.modeling.trained_network import TrainedNetwork
from phenolake.modeling.training import train_network

# Maps of a network are many and alike; new kinds of cells rarely lie where maps hardly vary.
_NOVELTY_COMPONENTS: Mapping[str, int] = {ENCODER_VIEW: 60}

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
LINEAR = ("lda", "logistic", "svm")
NETWORK = "network"
#: Methods that weigh errors against the size of their weights.
WITH_COST = ("logistic", "svm")


def trainer_named(method: str, novelty_components: int | None = None) -> Trainer:
    """Return what trains a method, or an ensemble of the methods joined by `+`.

    `novelty_components` is for those that know it, see `train_linear`.

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
        return train_networks
    if NETWORK in names:
        raise TrainingDataError("a network learns from crops and can't share features with others")
    limited = {"novelty_components": novelty_components} if novelty_components else {}
    trainers = [partial(CLASSICAL[name], **(limited if name in LINEAR else {})) for name in names]
    return trainers[0] if len(trainers) == 1 else partial(_train_together, trainers)


def train_by_view(
    method: str,
    views: Mapping[str, Sequence[str]],
    data: pl.DataFrame,
    labels: Sequence[str],
    split: np.ndarray,
    **options: Any,
) -> Ensemble:
    """Return an ensemble of one model per view, each trained on the columns of that view."""
    members = tuple(
        trainer_named(method, _NOVELTY_COMPONENTS.get(view))(
            data.select(columns), labels, split, **options
        )
        for view, columns in views.items()
    )
    settings = {**members[0].settings, "views": list(views)}
    return Ensemble(members, members[0].novelty, settings=settings, views=tuple(views))


def train_networks(
    crops: np.ndarray,
    labels: Sequence[str],
    split: np.ndarray,
    *,
    members: int = 1,
    seed: int = 0,
    **options: Any,
) -> TrainedNetwork | Ensemble:
    """Return a network, or several from other first weights and draws that vote; see `train_network`.

    References
    ----------
    Lakshminarayanan et al. (2017), "Simple and scalable predictive uncertainty estimation using deep
    ensembles".
    """
    networks = tuple(
        train_network(crops, labels, split, seed=seed + number, **options)
        for number in range(members)
    )
    if members == 1:
        return networks[0]
    settings = {**networks[0].settings, "members": members}
    return Ensemble(networks, networks[0].novelty, settings=settings)


def _train_together(
    trainers: Sequence[Trainer],
    data: pl.DataFrame,
    labels: Sequence[str],
    split: np.ndarray,
    **options: Any,
) -> Ensemble:
    members = tuple(train(data, labels, split, **options) for train in trainers)
    return Ensemble(members, members[0].novelty, settings=members[0].settings)
