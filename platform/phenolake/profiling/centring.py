"""Profiles relative to what all treatments share, so that a direction common to them says nothing."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from phenolake.errors import ControlsMissingError, UnknownNameError
from phenolake.profiling.feature_matrix import (
    chosen_rows,
    feature_columns,
    matrix,
    metadata_columns,
    with_matrix,
)
from phenolake.profiling.robust_stats import mean

ORIGINS = ("treated", "reference", "all")


def centre(
    profiles: pl.DataFrame | pl.LazyFrame,
    on: Literal["treated", "reference", "all"] = "treated",
    reference: pl.Expr | None = None,
) -> pl.DataFrame:
    """Profiles minus the mean profile of some wells of the whole table.

    Cosine similarity depends on the origin. With the controls there, two unrelated toxic
    compounds look alike because both are far from the controls; with the mean treatment there,
    what sets them apart counts.

    Parameters
    ----------
    profiles
        A row per well, normalized or corrected.
    on
        `treated` (wells that are no reference wells), `reference`, or `all`.
    reference
        Expression that chooses the control wells; with None the origin is the mean of all wells.

    Raises
    ------
    ControlsMissingError
        If there is no well to centre on.
    """
    frame = profiles.lazy().collect()
    origin = origin_of(frame, on, reference)
    features = feature_columns(frame)
    values = matrix(frame, features) - origin[:, None]
    return with_matrix(frame.select(metadata_columns(frame)), features, values)


def origin_of(
    frame: pl.DataFrame,
    on: Literal["treated", "reference", "all"] = "treated",
    reference: pl.Expr | None = None,
) -> np.ndarray:
    """Mean profile that `centre` takes off, shape (feature,); infinite values don't count."""
    if on not in ORIGINS:
        raise UnknownNameError("origin", on, ORIGINS)
    is_control = chosen_rows(frame, reference)
    rows = {"treated": ~is_control, "reference": is_control, "all": np.ones(frame.height, bool)}[on]
    if reference is None:
        rows = np.ones(frame.height, bool)
    if not rows.any():
        raise ControlsMissingError("centre", "the whole table", f"{on} wells")
    values = matrix(frame, feature_columns(frame))[:, rows]
    return mean(np.where(np.isfinite(values), values, np.nan))
