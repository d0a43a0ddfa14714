"""Frames of features as float32 matrices without gaps: which columns, and what stands in for NaN."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from phenolake.errors import TrainingDataError
from phenolake.modeling.labels import EncodedLabels, checked_parts, encode_labels


@dataclass(frozen=True, eq=False)
class FeatureColumns:
    """The features of a model, in order, and their medians (float32) over its training cells."""

    names: tuple[str, ...]
    medians: np.ndarray

    @classmethod
    def fit(cls, train: pl.DataFrame, correlation_limit: float | None = None) -> FeatureColumns:
        """Choose the columns that have values in the training part.

        Columns with the `Metadata_` prefix are no features. With a limit, a feature whose absolute
        Pearson correlation with an earlier kept one is above it is dropped.

        Raises
        ------
        TrainingDataError
            If a feature is text, or none has a value.
        """
        names = np.array(feature_columns(train), dtype=object)
        values = _matrix(train, names.tolist())
        usable = np.isfinite(values).any(axis=0)
        if not usable.any():
            raise TrainingDataError(
                f"none of {len(names)} feature columns has a value in the training part"
            )
        values = np.where(np.isfinite(values[:, usable]), values[:, usable], np.nan)
        columns = cls(tuple(names[usable]), np.nanmedian(values, axis=0).astype(np.float32))
        if correlation_limit is None:
            return columns
        kept = uncorrelated(columns.values(train), correlation_limit)
        return cls(tuple(np.array(columns.names, dtype=object)[kept]), columns.medians[kept])

    def values(self, data: pl.DataFrame) -> np.ndarray:
        """Return the features as float32 (n, feature); NaN and infinities become the median.

        Raises
        ------
        TrainingDataError
            If features are missing from the frame.
        """
        absent = [name for name in self.names if name not in data.columns]
        if absent:
            raise TrainingDataError(
                f"{len(absent)} of {len(self.names)} features are missing: {', '.join(absent[:5])}"
            )
        values = _matrix(data, list(self.names))
        return np.where(np.isfinite(values), values, self.medians).astype(np.float32)


@dataclass(frozen=True, eq=False)
class FeatureParts:
    """Training and validation cells of a frame as matrices, with the codes of both."""

    columns: FeatureColumns
    labels: EncodedLabels
    train: np.ndarray
    codes: np.ndarray
    validation: np.ndarray
    held_codes: np.ndarray


def feature_parts(
    features: pl.DataFrame,
    labels: Iterable[object],
    split: np.ndarray,
    correlation_limit: float | None = None,
) -> FeatureParts:
    """Return what a classifier on features learns from; columns are chosen on training cells only.

    Raises
    ------
    TrainingDataError
        If the labels can't train a model (see `checked_parts`) or no feature has values.
    """
    encoded = encode_labels(labels)
    if features.height != len(encoded.codes):
        raise TrainingDataError(f"{features.height} rows, but {len(encoded.codes)} labels")
    train, validation = checked_parts(encoded, split)
    columns = FeatureColumns.fit(features[train], correlation_limit)
    return FeatureParts(
        columns,
        encoded,
        columns.values(features[train]),
        encoded.codes[train],
        columns.values(features[validation]),
        encoded.codes[validation],
    )


def uncorrelated(values: np.ndarray, limit: float) -> np.ndarray:
    """Return the columns to keep so that no two correlate above `limit`; the first one stays."""
    spread = values.std(axis=0)
    standard = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
    correlated = np.abs(standard.T @ standard / len(values)) > limit
    kept: list[int] = []
    for column in range(values.shape[1]):
        if not correlated[column, kept].any():
            kept.append(column)
    return np.array(kept, dtype=np.intp)


def feature_columns(frame: pl.DataFrame) -> list[str]:
    """Return the columns that aren't metadata."""
    return [name for name in frame.columns if not name.startswith("Metadata_")]


def _matrix(frame: pl.DataFrame, names: list[str]) -> np.ndarray:
    wrong = [
        name
        for name in names
        if not (frame[name].dtype.is_numeric() or frame[name].dtype == pl.Boolean)
    ]
    if wrong:
        raise TrainingDataError(
            f"feature columns must be numbers, not text: {', '.join(wrong[:5])}"
        )
    columns = [frame[name].cast(pl.Float32, strict=False).to_numpy() for name in names]
    return np.stack(columns, axis=1) if columns else np.empty((frame.height, 0), dtype=np.float32)
