"""What a batch correction works on: a matrix of wells, their batches, and which are controls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from phenolake.correction.complete_features import complete_matrix
from phenolake.errors import ControlsMissingError
from phenolake.profiling.feature_matrix import (
    METADATA,
    chosen_rows,
    key_columns,
    matrix,
    metadata_columns,
)


@dataclass(frozen=True)
class Wells:
    """Profiles as arrays.

    Attributes
    ----------
    metadata
        The metadata columns.
    features, values
        Names, and float64 of shape (feature, row). Rows that failed are all NaN.
    batch
        Name of the batch column.
    batches
        Batch of each row, as text; a null is the batch "null".
    controls
        Rows that maps are learned from: reference wells with values.
    """

    metadata: pl.DataFrame
    features: list[str]
    values: np.ndarray
    batch: str
    batches: np.ndarray
    controls: np.ndarray

    @classmethod
    def of(
        cls,
        frame: pl.DataFrame,
        batch: str,
        reference: pl.Expr | None,
        step: str,
        features: list[str] | None = None,
    ) -> Wells:
        """Take a profile table apart; `features` given must all exist, else the complete ones."""
        if features is None:
            features, values = complete_matrix(frame, step)
        else:
            values = matrix(frame, key_columns(frame, features))
        names = frame[key_columns(frame, batch)[0]].cast(pl.String).fill_null("null")
        usable = chosen_rows(frame, reference) & np.isfinite(values).all(axis=0)
        metadata = frame.select(metadata_columns(frame))
        return cls(metadata, features, values, batch, names.to_numpy().astype(str), usable)

    def names(self) -> list[str]:
        """Batches in order of name."""
        return sorted(set(self.batches.tolist()))

    def of_batch(self, name: str, step: str, at_least: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of a batch, and the values of its controls, (feature, well).

        Raises
        ------
        ControlsMissingError
            If there are fewer than `at_least` controls; names the batch.
        """
        rows = np.flatnonzero(self.batches == name)
        controls = rows[self.controls[rows]]
        if controls.size < at_least:
            where = f"{self.batch.removeprefix(METADATA).lower()} {name}"
            raise ControlsMissingError(
                step,
                where,
                f"at least {at_least} reference wells with values, found {controls.size}",
            )
        return rows, self.values[:, controls]
