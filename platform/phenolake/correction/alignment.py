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


def learned(
    shared: dict[str, np.ndarray], controls: np.ndarray, parameters: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Centre and covariance of a batch's controls: directions that they explore, and their gains.

    A few controls explore few of many directions. All others have the same gain, so that a batch
    takes features x controls numbers and no square matrix.
    """
    own = shared["first"] @ (controls - shared["origin"][:, None])
    centre = own.mean(axis=1)
    deviations = (own - centre[:, None]) / np.sqrt(own.shape[1])
    basis, spread, _ = np.linalg.svd(deviations, full_matrices=False)
    explored = spread > spread.max(initial=0) * max(own.shape) * np.finfo(np.float64).eps
    gain = 1 / np.sqrt(spread[explored] ** 2 + shared["ridge"][0])
    return {"centre": centre, "basis": basis[:, explored], "gain": gain}


def moved(
    shared: dict[str, np.ndarray], own: dict[str, np.ndarray], values: np.ndarray
) -> np.ndarray:
    """Wells of a batch, (feature, well), whitened by its own controls and coloured by all."""
    inputs = shared["first"] @ (values - shared["origin"][:, None]) - own["centre"][:, None]
    rest = 1 / np.sqrt(shared["ridge"][0])
    explored = (own["gain"] - rest)[:, None] * (own["basis"].T @ inputs)
    whitened = rest * inputs + own["basis"] @ explored
    return np.asarray(shared["colour"] @ whitened + shared["mean"][:, None])


def _shared(covariance: np.ndarray, ridge: float) -> dict[str, np.ndarray]:
    colour = _power(covariance + ridge * np.eye(len(covariance)), 0.5)
    return {"colour": colour, "ridge": np.array([ridge])}


def _covariance(values: np.ndarray) -> np.ndarray:
    return np.atleast_2d(np.cov(values, ddof=0))


def _power(symmetric: np.ndarray, exponent: float) -> np.ndarray:
    eigenvalues, vectors = np.linalg.eigh(symmetric)
    return np.asarray((vectors * np.clip(eigenvalues, 1e-12, None) ** exponent) @ vectors.T)
