"""Alignment of the mean and covariance of every batch's controls: CORAL, and TVN after sphering.

CORAL: Sun, Feng, Saenko, AAAI (2016). TVN: Ando, McLean, Berndl, bioRxiv 161422 (2017).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from phenolake.correction.sphering import Sphering
from phenolake.correction.wells import Wells


def pooled(wells: Wells, parameters: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Mean and covariance of the controls of all batches.

    The regularization is in units of the mean variance.
    """
    everyone = wells.values[:, wells.controls]
    covariance = _covariance(everyone)
    ridge = parameters["regularization"] * np.trace(covariance) / len(covariance)
    return {
        "first": np.eye(len(everyone)),
        "origin": np.zeros(len(everyone)),
        "mean": everyone.mean(axis=1),
        **_shared(covariance, max(float(ridge), 1e-12)),
    }


def sphered(wells: Wells, parameters: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Sphering of all controls, then the mean (0) and covariance they have after it."""
    controls = wells.values[:, wells.controls]
    sphering = Sphering.fit(
        controls, wells.features, parameters["kind"], parameters["regularization"]
    )
    everyone = sphering.weights @ (controls - sphering.centre[:, None])
    return {
        "first": sphering.weights,
        "origin": sphering.centre,
        "mean": np.zeros(len(everyone)),
        **_shared(_covariance(everyone), float(parameters["alignment_regularization"])),
    }


def to_target(
    shared: dict[str, np.ndarray], controls: np.ndarray, parameters: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and offset that give a batch's controls the shared mean and covariance."""
    own = shared["first"] @ (controls - shared["origin"][:, None])
    ridge = float(shared["ridge"][0])
    whitened = _power(_covariance(own) + ridge * np.eye(len(own)), -0.5)
    turn = shared["colour"] @ whitened
    weights = turn @ shared["first"]
    return weights, shared["mean"] - turn @ own.mean(axis=1) - weights @ shared["origin"]


def _shared(covariance: np.ndarray, ridge: float) -> dict[str, np.ndarray]:
    colour = _power(covariance + ridge * np.eye(len(covariance)), 0.5)
    return {"colour": colour, "ridge": np.array([ridge])}


def _covariance(values: np.ndarray) -> np.ndarray:
    return np.atleast_2d(np.cov(values, ddof=0))


def _power(symmetric: np.ndarray, exponent: float) -> np.ndarray:
    eigenvalues, vectors = np.linalg.eigh(symmetric)
    return np.asarray((vectors * np.clip(eigenvalues, 1e-12, None) ** exponent) @ vectors.T)
