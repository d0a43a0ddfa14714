"""How well predicted classes fit the true ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from phenolake.modeling.calibration import calibration_curve, expected_calibration_error


@dataclass(frozen=True, eq=False)
class ClassificationScores:
    """Scores of one set of cells.

    `confusion`: int64, shape (true class, predicted class). `per_class`: one row per class with
    precision, recall, f1 (null where undefined) and `cells`, the number of true cells.
    `calibration`: see `calibration_curve`.
    """

    classes: tuple[str, ...]
    confusion: np.ndarray
    per_class: pl.DataFrame
    metrics: dict[str, float]
    calibration: pl.DataFrame


def classification_scores(
    truth: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]
) -> ClassificationScores:
    """Return confusion matrix, per-class table and summary metrics.

    Parameters
    ----------
    truth
        int, shape (n,), index into `classes`.
    probabilities
        float, shape (n, class); the largest decides, the first of equal ones.

    Notes
    -----
    `balanced_accuracy` and `macro_f1` are means over classes that have cells; `weighted_f1` weights
    them by their cells. A class never predicted has F1 0. `log_loss` is in nats, with probabilities
    clipped at 1e-15; for `calibration_error` see `expected_calibration_error`.
    """
    size = len(classes)
    predicted = probabilities.argmax(axis=1)
    confusion = np.bincount(truth * size + predicted, minlength=size * size).reshape(size, size)
    hits, cells, calls = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    met = cells > 0
    precision, recall = _ratio(hits, calls), _ratio(hits, cells)
    f1 = np.where(met, _ratio(2 * hits, cells + calls), np.nan)
    own = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    metrics = {
        "accuracy": float(hits.sum() / len(truth)),
        "balanced_accuracy": float(recall[met].mean()),
        "macro_f1": float(f1[met].mean()),
        "weighted_f1": float(np.average(f1[met], weights=cells[met])),
        "log_loss": float(-np.log(np.clip(own, 1e-15, 1.0)).mean()),
        "calibration_error": expected_calibration_error(probabilities, truth),
    }
    table = pl.DataFrame(
        {"label": list(classes), "precision": precision, "recall": recall, "f1": f1, "cells": cells}
    ).with_columns(pl.col(pl.Float64).fill_nan(None))
    calibration = calibration_curve(probabilities, truth)
    return ClassificationScores(classes, confusion.astype(np.int64), table, metrics, calibration)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
