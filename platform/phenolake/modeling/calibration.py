"""Probabilities that mean what they say: one temperature, the calibration error and its curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

_SMALLEST = 1e-12
_RANGE = (0.05, 20.0)


def fit_temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature under which the true classes are likeliest, within 0.05..20.

    Parameters
    ----------
    probabilities
        float, shape (n, class), of cells the model was not trained on.
    truth
        int, shape (n,), index of the true class.

    References
    ----------
    Guo et al. (2017), "On calibration of modern neural networks".
    """
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        calibrated = tempered(probabilities, np.exp(log_temperature))
        return float(-np.log(np.maximum(calibrated[rows, truth], _SMALLEST)).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(_RANGE)), method="bounded")
    return float(np.exp(found.x))


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities to the power of 1 / temperature, with sum 1; the order of classes stays.

    Float64, shape (n, class). Above 1 they come closer to each other, below 1 further apart.
    """
    from scipy.special import softmax

    logs = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _SMALLEST))
    return softmax(logs / temperature, axis=1)


def cross_fitted(probabilities: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return probabilities tempered group by group, each with a temperature from the other groups.

    Nothing of a group's own labels goes into its probabilities, so scores of the result are honest.
    A single group is left as it is.
    """
    calibrated = np.asarray(probabilities, dtype=np.float64).copy()
    for group in np.unique(groups):
        own = groups == group
        if not own.all():
            temperature = fit_temperature(probabilities[~own], truth[~own])
            calibrated[own] = tempered(probabilities[own], temperature)
    return calibrated


def calibration_curve(probabilities: np.ndarray, truth: np.ndarray, bins: int = 15) -> pl.DataFrame:
    """Return one row per bin of the top class's probability that has cells.

    Columns `confidence` (mean probability), `accuracy` (share of cells that are right) and `cells`.
    Bins have equal widths; a probability on an edge belongs to the lower bin.
    """
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    chosen = np.clip(np.ceil(top * bins).astype(int) - 1, 0, bins - 1)
    cells: Any = np.bincount(chosen, minlength=bins)
    met = cells > 0
    return pl.DataFrame(
        {
            "confidence": np.bincount(chosen, weights=top, minlength=bins)[met] / cells[met],
            "accuracy": np.bincount(chosen, weights=right, minlength=bins)[met] / cells[met],
            "cells": cells[met],
        }
    )


def expected_calibration_error(
    probabilities: np.ndarray, truth: np.ndarray, bins: int = 15
) -> float:
    """Return the mean gap between confidence and accuracy over bins, weighted by cells.

    References
    ----------
    Naeini et al. (2015), "Obtaining well calibrated probabilities using Bayesian binning".
    """
    curve = calibration_curve(probabilities, truth, bins)
    gaps = (curve["confidence"] - curve["accuracy"]).abs() * curve["cells"]
    return float(gaps.sum() / max(len(truth), 1))
