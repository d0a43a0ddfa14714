"""Cosine similarity between profiles that may have gaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from phenolake.profiling.feature_matrix import matrix


class Cosine:
    """Cosine similarities between rows of a profile table.

    A pair with missing values is compared on the features that both have; 0 where nothing is left
    or a profile is all zeros.
    """

    def __init__(self, frame: pl.DataFrame, features: Sequence[str]) -> None:
        values = np.ascontiguousarray(matrix(frame, features).T)
        present = np.isfinite(values)
        # Features that every row lacks, or has, need no bookkeeping.
        gaps = not present.all()
        values[~present] = 0
        if gaps:
            self._present = present.astype(np.float64)
            largest = np.abs(values).max(axis=1, keepdims=True, initial=0)
            self._values = np.divide(values, largest, out=np.zeros_like(values), where=largest > 0)
            self._squares: np.ndarray | None = self._values**2
        else:
            length = np.linalg.norm(values, axis=1, keepdims=True)
            self._values = np.divide(values, length, out=np.zeros_like(values), where=length > 0)
            self._squares = None

    def between(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Similarities, float64, shape (len(rows), len(others)), from row numbers."""
        product = self._values[rows] @ self._values[others].T
        if self._squares is None:
            return product
        shared = self._squares[rows] @ self._present[others].T
        shared *= self._present[rows] @ self._squares[others].T
        return np.divide(product, np.sqrt(shared), out=np.zeros_like(product), where=shared > 0)


def codes(frame: pl.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Give every row a whole number, equal where all the columns are; null equals null."""
    if not columns:
        return np.zeros(frame.height, np.int64)
    ranks = frame.select(pl.struct(columns).rank("dense")).to_series()
    return ranks.to_numpy().astype(np.int64)
