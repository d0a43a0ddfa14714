"""The one entry to batch correction: a registry of methods by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from phenolake.correction.complete_features import complete_matrix
from phenolake.correction.sphering import Sphering
from phenolake.errors import ControlsMissingError, UnknownNameError
from phenolake.profiling.feature_matrix import (
    chosen_rows,
    group_name,
    groups,
    key_columns,
    metadata_columns,
    with_matrix,
)

_Method = Callable[..., pl.DataFrame]


def correct(
    profiles: pl.DataFrame | pl.LazyFrame,
    method: str,
    batch: str = "Metadata_Batch",
    reference: pl.Expr | None = None,
    **parameters: Any,
) -> pl.DataFrame:
    """Profiles with the variation between batches reduced.

    Parameters
    ----------
    profiles
        A row per well, usually normalized.
    method
        - `none`: as they are.
        - `mean_centring`: minus the mean of each batch's reference wells.
        - `sphering`: the reference wells of all batches become uncorrelated with unit variance;
          parameters `kind` (`ZCA-cor`), `regularization` (see `Sphering`).
        - `tvn`: typical variation normalization: sphering, then the reference wells of each batch
          are aligned in mean and covariance with those of all batches; parameter
          `regularization`.
    batch
        Column that names the batch. `none` and `sphering` don't use it.
    reference
        Expression that chooses control wells; None takes all wells.
    **parameters
        Those of the method.

    Returns
    -------
    polars.DataFrame
        The same rows in the same order: metadata columns, then features (float64). Except with
        `none`, features with a missing value are left out with a `FeaturesDroppedWarning`.

    Raises
    ------
    UnknownNameError
        If the method or a column does not exist.
    ControlsMissingError
        If a batch has too few reference wells.

    References
    ----------
    tvn: Ando, McLean, Berndl, bioRxiv 161422 (2017); CORAL: Sun, Feng, Saenko, AAAI (2016).
    """
    if method not in METHODS:
        raise UnknownNameError("correction method", method, METHODS)
    return METHODS[method](profiles.lazy().collect(), batch, reference, **parameters)


def _unchanged(frame: pl.DataFrame, batch: str, reference: pl.Expr | None) -> pl.DataFrame:
    return frame


def _centred(frame: pl.DataFrame, batch: str, reference: pl.Expr | None) -> pl.DataFrame:
    features, values = complete_matrix(frame, "mean_centring")
    for rows, controls in _batches(frame, values, batch, reference, "mean_centring", at_least=1):
        values[:, rows] -= values[:, controls].mean(axis=1, keepdims=True)
    return with_matrix(frame.select(metadata_columns(frame)), features, values)


def _sphered(
    frame: pl.DataFrame, batch: str, reference: pl.Expr | None, **parameters: Any
) -> pl.DataFrame:
    return fit_sphering(frame, reference, **parameters).transform(frame)


def fit_sphering(
    profiles: pl.DataFrame | pl.LazyFrame, reference: pl.Expr | None = None, **parameters: Any
) -> Sphering:
    """Learn a `Sphering` from the reference wells of a profile table."""
    frame = profiles.lazy().collect()
    features, values = complete_matrix(frame, "sphering")
    controls = values[:, chosen_rows(frame, reference)]
    return Sphering.fit(controls[:, np.isfinite(controls).all(axis=0)], features, **parameters)


def _typical_variation(
    frame: pl.DataFrame,
    batch: str,
    reference: pl.Expr | None,
    kind: str = "ZCA-cor",
    regularization: float = 0.01,
    alignment_regularization: float = 1.0,
) -> pl.DataFrame:
    sphering = fit_sphering(frame, reference, kind=kind, regularization=regularization)
    sphered = sphering.transform(frame)
    features, values = complete_matrix(sphered, "tvn")
    aligned = values.copy()
    ridge = alignment_regularization * np.eye(len(features))
    batches = _batches(frame, values, batch, reference, "tvn", at_least=2)
    everyone = values[:, np.concatenate([controls for _, controls in batches])]
    recolour = _power(np.cov(everyone, ddof=0) + ridge, 0.5)
    for rows, controls in batches:
        own = values[:, controls]
        whiten = _power(np.atleast_2d(np.cov(own, ddof=0)) + ridge, -0.5)
        moved = values[:, rows] - own.mean(axis=1, keepdims=True)
        aligned[:, rows] = recolour @ (whiten @ moved)
    return with_matrix(frame.select(metadata_columns(frame)), features, aligned)


def _power(symmetric: np.ndarray, exponent: float) -> np.ndarray:
    eigenvalues, vectors = np.linalg.eigh(np.atleast_2d(symmetric))
    return (vectors * np.clip(eigenvalues, 1e-12, None) ** exponent) @ vectors.T


def _batches(
    frame: pl.DataFrame,
    values: np.ndarray,
    batch: str,
    reference: pl.Expr | None,
    step: str,
    at_least: int,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows of each batch, and those among them that are controls with values."""
    is_control = chosen_rows(frame, reference) & np.isfinite(values).all(axis=0)
    found = []
    for key, rows in groups(frame, key_columns(frame, batch)):
        controls = rows[is_control[rows]]
        if controls.size < at_least:
            raise ControlsMissingError(step, group_name(key), str(reference))
        found.append((rows, controls))
    return found


METHODS: dict[str, _Method] = {
    "none": _unchanged,
    "mean_centring": _centred,
    "sphering": _sphered,
    "tvn": _typical_variation,
}
