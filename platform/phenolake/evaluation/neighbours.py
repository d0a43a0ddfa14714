"""Nearest wells by cosine similarity, a block of wells at a time."""

from __future__ import annotations

import numpy as np
import polars as pl

from phenolake.evaluation.similarity import Cosine
from phenolake.profiling.feature_matrix import feature_columns

_PAIRS_AT_ONCE = 8_000_000  # 64 MB of float64


def nearest(profiles: pl.DataFrame, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the `count` nearest other rows, nearest first, and their similarities.

    Both have the shape (row, count); `count` is at most rows - 1. Of equally similar rows the
    earlier one comes first.
    """
    height = profiles.height
    count = max(0, min(count, height - 1))
    cosine = Cosine(profiles, feature_columns(profiles))
    everyone = np.arange(height)
    found = np.empty((height, count), np.int64)
    similarity = np.empty((height, count))
    at_once = max(1, _PAIRS_AT_ONCE // max(1, height))
    for start in range(0, height, at_once):
        rows = everyone[start : start + at_once]
        block = cosine.between(rows, everyone)
        block[np.arange(rows.size), rows] = -np.inf
        chosen = np.argpartition(-block, count - 1, axis=1)[:, :count] if count else block[:, :0]
        chosen = np.sort(chosen.astype(np.int64), axis=1)
        values = np.take_along_axis(block, chosen, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        found[rows] = np.take_along_axis(chosen, order, axis=1)
        similarity[rows] = np.take_along_axis(values, order, axis=1)
    return found, similarity
