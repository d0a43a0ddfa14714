"""The one entry to batch correction: a registry of methods by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from phenolake.correction.batch_maps import LINEAR, BatchMaps
from phenolake.correction.complete_features import complete_matrix
from phenolake.correction.harmony_model import Harmony
from phenolake.correction.sphering import Sphering
from phenolake.correction.wells import Wells
from phenolake.errors import ConfigurationError, ModelFileError, UnknownNameError
from phenolake.profiling.feature_matrix import chosen_rows, key_columns, metadata_columns

Correction = BatchMaps | Harmony | Sphering


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
        - `coral`: the reference wells of each batch are aligned in mean and covariance with those
          of all batches; `regularization` (1, in units of the mean variance).
        - `tvn`: typical variation normalization: sphering, then the same alignment;
          `kind`, `regularization`, `alignment_regularization`.
        - `combat`: means and spreads of the reference wells of each batch, shrunk by empirical
          Bayes, become those of all batches.
        - `harmony_scrna`: principal components in which soft clusters of wells hold all batches;
          `components` (50), `backend` (`numpy`, `torch`, `torch:cuda`), and the fields of
          `harmony.HarmonySettings`. It looks at all wells and not at `reference`.
    batch
        Column that names the batch. `none` and `sphering` don't use it.
    reference
        Expression that chooses control wells; None takes all wells.
    **parameters
        Those of the method.

    Returns
    -------
    polars.DataFrame
        The same rows in the same order: metadata columns, then features (float64), or components
        for `harmony_scrna` and sphering of a PCA kind. Except with `none`, features with a missing
        value are left out with a `FeaturesDroppedWarning`.

    Raises
    ------
    UnknownNameError
        If the method, a parameter or a column does not exist.
    ControlsMissingError
        If a batch has too few reference wells; names the batch.

    References
    ----------
    tvn: Ando, McLean, Berndl, bioRxiv 161422 (2017); coral: Sun, Feng, Saenko, AAAI (2016);
    combat: Johnson, Li, Rabinovic, Biostatistics 8:118 (2007); harmony: Korsunsky et al., Nat.
    Methods 16:1289 (2019).
    """
    if method not in METHODS:
        raise UnknownNameError("correction method", method, METHODS)
    frame = profiles.lazy().collect()
    if method == "none":
        return frame
    return _fit(frame, method, batch, reference, parameters)[1]()


def fit_correction(
    profiles: pl.DataFrame | pl.LazyFrame,
    method: str,
    batch: str = "Metadata_Batch",
    reference: pl.Expr | None = None,
    **parameters: Any,
) -> Correction:
    """Learn a correction once: it has `transform`, `save` and, where batches matter, `extended`.

    Arguments are those of `correct`. `extended(profiles, reference)` adds batches that came later
    without moving those that were fitted.

    Raises
    ------
    UnknownNameError
        If the method does not exist, or has nothing to fit (`none`).
    """
    return _fit(profiles.lazy().collect(), method, batch, reference, parameters)[0]


def fit_and_correct(
    profiles: pl.DataFrame,
    method: str,
    batch: str = "Metadata_Batch",
    reference: pl.Expr | None = None,
    **parameters: Any,
) -> tuple[Correction, pl.DataFrame]:
    """Return what `fit_correction` and `correct` return, for the work of one."""
    correction, corrected = _fit(profiles, method, batch, reference, parameters)
    return correction, corrected()


def load_correction(path: str | Path) -> Correction:
    """Read a correction that its `save` wrote, whatever the method.

    Raises
    ------
    ModelFileError
        If the file is something else, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            method = (file.metadata() or {}).get("method", "sphering")
        if method in LINEAR:
            return BatchMaps.load(path)
        return Harmony.load(path) if method == Harmony.method else Sphering.load(path)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(path, f"not a stored correction, or damaged ({error})") from error


def _fit(
    frame: pl.DataFrame,
    method: str,
    batch: str,
    reference: pl.Expr | None,
    parameters: dict[str, Any],
) -> tuple[Correction, Callable[[], pl.DataFrame]]:
    if method not in _FITS:
        raise UnknownNameError("correction method", method, _FITS)
    return _FITS[method](frame, method, batch, reference, parameters)


def fit_sphering(
    profiles: pl.DataFrame | pl.LazyFrame, reference: pl.Expr | None = None, **parameters: Any
) -> Sphering:
    """Learn a `Sphering` from the reference wells of a profile table."""
    frame = profiles.lazy().collect()
    return _sphering_and_values(frame, reference, parameters)[0]


def _sphering_and_values(
    frame: pl.DataFrame, reference: pl.Expr | None, parameters: dict[str, Any]
) -> tuple[Sphering, np.ndarray]:
    features, values = complete_matrix(frame, "sphering")
    controls = values[:, chosen_rows(frame, reference)]
    usable = controls[:, np.isfinite(controls).all(axis=0)]
    return Sphering.fit(usable, features, **parameters), values


# Each fit returns the correction, and a function that gives the corrected profiles: Harmony has
# them already, the others have yet to map them. It is called once at most.
_Fit = Callable[
    [pl.DataFrame, str, str, pl.Expr | None, dict[str, Any]],
    tuple[Correction, Callable[[], pl.DataFrame]],
]


def _fit_sphering(
    frame: pl.DataFrame,
    method: str,
    batch: str,
    reference: pl.Expr | None,
    parameters: dict[str, Any],
) -> tuple[Correction, Callable[[], pl.DataFrame]]:
    sphering, values = _sphering_and_values(frame, reference, parameters)
    return sphering, lambda: sphering.applied(values, frame.select(metadata_columns(frame)))


def _fit_linear(
    frame: pl.DataFrame,
    method: str,
    batch: str,
    reference: pl.Expr | None,
    parameters: dict[str, Any],
) -> tuple[Correction, Callable[[], pl.DataFrame]]:
    key_columns(frame, batch)
    for name in parameters:
        if name not in LINEAR[method].defaults:
            raise UnknownNameError("parameter", name, LINEAR[method].defaults)
    if parameters.get("regularization", 1) <= 0:
        raise ConfigurationError(
            f"{method}: regularization must be positive, got {parameters['regularization']}"
        )
    maps = BatchMaps.fit(method, Wells.of(frame, batch, reference, method), parameters)
    return maps, lambda: maps.transform(frame)


def _fit_harmony(
    frame: pl.DataFrame,
    method: str,
    batch: str,
    reference: pl.Expr | None,
    parameters: dict[str, Any],
) -> tuple[Correction, Callable[[], pl.DataFrame]]:
    key_columns(frame, batch)
    model, corrected = Harmony.fit(Wells.of(frame, batch, None, method), parameters)
    return model, lambda: corrected


_FITS: dict[str, _Fit] = {
    "sphering": _fit_sphering,
    **dict.fromkeys(LINEAR, _fit_linear),
    "harmony_scrna": _fit_harmony,
}

#: Names that `correct` knows.
METHODS = ("none", *_FITS)
