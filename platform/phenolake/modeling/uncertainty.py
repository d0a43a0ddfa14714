"""What part of a prediction's uncertainty is the model's own: members of an ensemble disagreeing."""

from __future__ import annotations

import numpy as np
import polars as pl

from phenolake.errors import TrainingDataError


def ensemble_uncertainty(votes: np.ndarray) -> pl.DataFrame:
    """Return one row per cell: `entropy` of the mean, `expected_entropy`, `mutual_information`.

    Parameters
    ----------
    votes
        float, probabilities of each member or dropout pass, shape (member, n, class).

    Notes
    -----
    All in nats. Mutual information is the entropy of the mean less the mean entropy: what members
    disagree on, and more data would settle. The rest is noise that all members see.

    Raises
    ------
    TrainingDataError
        If the votes have another shape.

    References
    ----------
    Gal (2016), "Uncertainty in deep learning"; Lakshminarayanan et al. (2017), "Simple and scalable
    predictive uncertainty estimation using deep ensembles".
    """
    if votes.ndim != 3 or not len(votes):
        raise TrainingDataError(f"expected votes (member, cell, class), got {votes.shape}")
    total = entropy(votes.mean(axis=0))
    expected = np.mean([entropy(member) for member in votes], axis=0, dtype=np.float32)
    return pl.DataFrame(
        {
            "entropy": total,
            "expected_entropy": expected,
            "mutual_information": np.maximum(total - expected, 0),
        }
    )


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Return the entropy of each row in nats, float32."""
    logs = np.log(np.where(probabilities > 0, probabilities, 1))
    return np.maximum(-(probabilities * logs).sum(axis=1), 0).astype(np.float32)
