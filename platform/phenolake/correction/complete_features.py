"""Which features a matrix method can use: those without a gap. Dropping is always announced."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError
from phenolake.profiling.feature_matrix import feature_columns, matrix


class FeaturesDroppedWarning(UserWarning):
    """Features were left out because they have missing values."""

    def __init__(self, step: str, dropped: list[str], of: int) -> None:
        self.dropped = dropped
        shown = ", ".join(dropped[:3]) + (", ..." if len(dropped) > 3 else "")
        super().__init__(
            f"{step}: left out {len(dropped)} of {of} features with missing values ({shown}); "
            "`correction.incomplete_features` lists them"
        )


def incomplete_features(profiles: pl.DataFrame | pl.LazyFrame) -> list[str]:
    """Features with a missing or infinite value in some row, in order.

    Rows without any value at all (wells that failed) are not held against a feature.
    """
    frame = profiles.lazy().collect()
    features = feature_columns(frame)
    return [
        name
        for name, ok in zip(features, _complete(matrix(frame, features)), strict=True)
        if not ok
    ]


def complete_matrix(frame: pl.DataFrame, step: str) -> tuple[list[str], np.ndarray]:
    """Features without gaps and their values, (feature, row); warns of the others.

    Raises
    ------
    ConfigurationError
        If no feature is complete.
    """
    features = feature_columns(frame)
    values = matrix(frame, features)
    complete = _complete(values)
    kept = [name for name, ok in zip(features, complete, strict=True) if ok]
    if not kept:
        raise ConfigurationError(
            f"{step}: none of {len(features)} features has a value in every row; "
            "leave out wells or select features first"
        )
    if len(kept) < len(features):
        dropped = [name for name, ok in zip(features, complete, strict=True) if not ok]
        warnings.warn(FeaturesDroppedWarning(step, dropped, len(features)), stacklevel=3)
        values = values[complete]
    return kept, values


def _complete(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    judged = finite.any(axis=0)
    return finite[:, judged].all(axis=1) & judged.any()
