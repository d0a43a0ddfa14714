"""ComBat: batch means and spreads by parametric empirical Bayes, feature by feature.

Johnson, Li, Rabinovic, Biostatistics 8:118 (2007).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from phenolake.correction.wells import Wells

_TOLERANCE = 1e-6
_MOST_ROUNDS = 500


def target(wells: Wells, parameters: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Grand mean of every feature, and its SD within batches (ddof 0), over the controls."""
    total = np.zeros(len(wells.features))
    squares = np.zeros(len(wells.features))
    count = 0
    for name in wells.names():
        _, own = wells.of_batch(name, "combat", 2)
        total += own.sum(axis=1)
        squares += ((own - own.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        count += own.shape[1]
    return {"mean": total / count, "sd": np.sqrt(squares / count)}


def learned(
    shared: dict[str, np.ndarray], controls: np.ndarray, parameters: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Weight and offset of every feature that take a batch's mean and spread away.

    A feature without spread within batches keeps its values.
    """
    mean, sd = shared["mean"], shared["sd"]
    weights, offset = np.ones(mean.size), np.zeros(mean.size)
    varies = sd > 0
    if varies.any():
        standardized = (controls[varies] - mean[varies, None]) / sd[varies, None]
        shift, variance = posterior(standardized)
        scale = 1 / np.sqrt(variance)
        weights[varies] = scale
        offset[varies] = mean[varies] - scale * (mean[varies] + sd[varies] * shift)
    return {"weights": weights, "offset": offset}


def moved(
    shared: dict[str, np.ndarray], own: dict[str, np.ndarray], values: np.ndarray
) -> np.ndarray:
    """Wells of a batch, (feature, well), with its mean and spread taken away."""
    return own["weights"][:, None] * values + own["offset"][:, None]


def posterior(standardized: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior shift and variance of each feature in one batch; input (feature, well).

    The priors, a normal for shifts and an inverse gamma for variances, are fitted by moments over
    the features. With one feature, or where all agree, there is no prior to shrink to.
    """
    wells = standardized.shape[1]
    shift, variance = standardized.mean(axis=1), standardized.var(axis=1, ddof=1)
    # A feature that one batch does not vary has no usable variance of its own.
    variance = np.maximum(variance, 1e-8)
    if shift.size < 2:
        return shift, variance
    prior_shift, prior_spread = shift.mean(), shift.var(ddof=1)
    level, level_spread = variance.mean(), variance.var(ddof=1)
    if not (prior_spread > 0 and level_spread > 0):
        return shift, variance
    shape = 2 + level**2 / level_spread
    rate = level * (1 + level**2 / level_spread)
    squares, total = (standardized**2).sum(axis=1), standardized.sum(axis=1)
    new_shift, new_variance = shift, variance
    for _ in range(_MOST_ROUNDS):
        before = new_shift, new_variance
        pull = wells * prior_spread
        new_shift = (pull * shift + new_variance * prior_shift) / (pull + new_variance)
        around = squares - 2 * new_shift * total + wells * new_shift**2
        new_variance = (rate + around / 2) / (wells / 2 + shape - 1)
        moved = max(np.abs(new_shift - before[0]).max(), np.abs(new_variance / before[1] - 1).max())
        if moved < _TOLERANCE:
            break
    return new_shift, new_variance
