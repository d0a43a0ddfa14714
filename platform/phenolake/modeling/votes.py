"""Several opinions of one model: those of its members, or of passes with units dropped at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from phenolake.modeling.ensemble import Ensemble
from phenolake.modeling.measured_crops import MeasuredCrops
from phenolake.modeling.model_parts import Model
from phenolake.modeling.trained_network import TrainedNetwork, fitting_crops, standardize

_BATCH = 1024


@dataclass(frozen=True, eq=False)
class Votes:
    """What a model says after pooling, and each vote it pooled.

    `probabilities`: (n, class), calibrated where the model is. `embedding`: (n, d), without
    dropout. `votes`: (vote, n, class), before calibration.
    """

    probabilities: np.ndarray
    embedding: np.ndarray
    votes: np.ndarray


def votes_of(model: Model, data: Any, dropout_passes: int = 0, seed: int = 0) -> Votes | None:
    """Return the votes of an ensemble's members, or of passes of a network with dropout.

    None for a model with one opinion: without members, and without dropout or passes.

    Raises
    ------
    TrainingDataError
        If the data don't fit the model.

    References
    ----------
    Gal and Ghahramani (2016), "Dropout as a Bayesian approximation"; Lakshminarayanan et al. (2017),
    "Simple and scalable predictive uncertainty estimation using deep ensembles".
    """
    if isinstance(model, MeasuredCrops):
        return votes_of(model.model, model.measure(data), dropout_passes, seed)
    if isinstance(model, Ensemble):
        if len(model.members) > 1:
            votes, embedding = model.votes(data)
            return Votes(model.pooled(votes), embedding, votes)
        only = votes_of(model.members[0], data, dropout_passes, seed)
        return only and Votes(model.pooled(only.votes), only.embedding, only.votes)
    if isinstance(model, TrainedNetwork) and dropout_passes > 0 and model.architecture.dropout > 0:
        embedding = model.embed(data)
        votes = dropout_votes(model, data, dropout_passes, seed)
        return Votes(votes.mean(axis=0), embedding, votes)
    return None


def dropout_votes(model: TrainedNetwork, data: np.ndarray, passes: int, seed: int) -> np.ndarray:
    """Return class probabilities of passes with dropout, float32, shape (pass, n, class).

    Batch normalisation keeps its stored statistics. Equal seeds drop the same units.
    """
    import torch

    network = model.network
    crops = fitting_crops(data, model.architecture, model.full_scale)
    batches = torch.from_numpy(np.ascontiguousarray(crops)).split(_BATCH)
    device = next(network.parameters()).device
    dropped = [module for module in network.modules() if isinstance(module, torch.nn.Dropout)]
    said = []
    # The generators of the caller go on as if nothing had been drawn.
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        for module in dropped:
            module.train()
        try:
            for batch in batches:
                pixels = standardize(batch.to(device), model.mean, model.sd)
                said.append(
                    torch.stack([network(pixels).softmax(dim=1) for _ in range(passes)]).cpu()
                )
        finally:
            network.eval()
    return torch.cat(said, dim=1).numpy()
