"""Profiles without row, column and edge effects of the plate."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from phenolake.errors import UnknownNameError
from phenolake.identity import Well
from phenolake.profiling.feature_matrix import (
    feature_columns,
    groups,
    key_columns,
    matrix,
    metadata_columns,
    with_matrix,
)
from phenolake.profiling.robust_stats import median

METHODS = ("median_polish", "edge")


def correct_position(
    profiles: pl.DataFrame | pl.LazyFrame,
    method: str = "median_polish",
    by: str | Iterable[str] = ("Metadata_Plate",),
    iterations: int = 10,
    min_wells: int = 3,
) -> pl.DataFrame:
    """Profiles minus the effect of the well's place on its plate.

    Parameters
    ----------
    profiles
        A row per well with `Metadata_Well`.
    method
        - `median_polish`: medians of rows and of columns are taken away in turn; the plate's
          level stays.
        - `edge`: the outermost wells are shifted so that their median is that of the inner wells.
    by
        Columns that name a plate.
    iterations
        Most rounds of the polish; it stops when nothing moves any more.
    min_wells
        Rows and columns (or an edge, or an inside) with fewer wells are left alone: the median of
        one well would take the whole well away.

    Notes
    -----
    Both assume that most wells of a row or column do nothing. Where replicates sit in one row or
    column on every plate, their effect goes too; keep the uncorrected profiles beside these.

    References
    ----------
    Tukey, Exploratory Data Analysis (1977); Malo et al., Nat. Biotechnol. 24:167 (2006).
    """
    if method not in METHODS:
        raise UnknownNameError("position correction", method, METHODS)
    frame = profiles.lazy().collect()
    key_columns(frame, "Metadata_Well")
    features = feature_columns(frame)
    values = matrix(frame, features)
    wells = [Well.parse(name) for name in frame["Metadata_Well"].to_list()]
    row, column = (
        np.array([getattr(w, axis) for w in wells], np.int64) for axis in ("row", "column")
    )
    for _, rows in groups(frame, key_columns(frame, by)):
        here = values[:, rows]
        if method == "edge":
            _level_edge(here, _is_edge(row[rows], column[rows]), min_wells)
        else:
            _polish(here, (row[rows], column[rows]), iterations, min_wells)
        values[:, rows] = here
    return with_matrix(frame.select(metadata_columns(frame)), features, values)


def _polish(
    values: np.ndarray, places: tuple[np.ndarray, np.ndarray], iterations: int, min_wells: int
) -> None:
    """Take effects of rows and columns away in place; values (feature, well)."""
    lines = [
        members
        for place in places
        for number in np.unique(place)
        if (members := np.flatnonzero(place == number)).size >= min_wells
    ]
    if not lines:
        return
    level = median(values)
    values -= level[:, None]
    for _ in range(iterations):
        largest = 0.0
        for members in lines:
            effect = np.nan_to_num(median(values[:, members]))
            values[:, members] -= effect[:, None]
            largest = max(largest, float(np.abs(effect).max(initial=0)))
        if largest == 0:
            break
    values += level[:, None]


def _level_edge(values: np.ndarray, edge: np.ndarray, min_wells: int) -> None:
    if min(edge.sum(), (~edge).sum()) < min_wells:
        return
    gap = np.nan_to_num(median(values[:, edge]) - median(values[:, ~edge]))
    values[:, edge] -= gap[:, None]


def _is_edge(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Wells in the first or last row or column that has wells."""
    return np.asarray(
        (row == row.min())
        | (row == row.max())
        | (column == column.min())
        | (column == column.max())
    )
