"""Profiles without what the number of cells in the well explains."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError, ControlsMissingError
from phenolake.profiling.aggregation import CELL_COUNT
from phenolake.profiling.feature_matrix import (
    chosen_rows,
    feature_columns,
    group_name,
    groups,
    key_columns,
    matrix,
    metadata_columns,
    with_matrix,
)


def regress_density(
    profiles: pl.DataFrame | pl.LazyFrame,
    by: str | Iterable[str] = ("Metadata_Plate",),
    reference: pl.Expr | None = None,
    count: str = CELL_COUNT,
    min_wells: int = 3,
) -> pl.DataFrame:
    """Profiles minus the line that relates each feature to the log of the cell count.

    Parameters
    ----------
    profiles
        A row per well.
    by
        Columns that name a group; each has lines of its own.
    reference
        Expression that chooses the wells the lines are fitted on, usually the negative controls:
        on treated wells a toxic compound's effect would count as density. None takes all wells.
    count
        Column with the number of cells.
    min_wells
        A feature with fewer values among the reference wells stays as it is.

    Notes
    -----
    The value at the reference wells' mean log count stays; only differences in density go. Where
    all reference wells have the same count, nothing is known of density and nothing changes.

    Raises
    ------
    ControlsMissingError
        If a group has no reference wells.
    ConfigurationError
        If a cell count is missing or negative.
    """
    frame = profiles.lazy().collect()
    key_columns(frame, count)
    cells = frame[count].cast(pl.Float64).to_numpy()
    if not (cells >= 0).all():
        raise ConfigurationError(f"cell density: {count} is missing or negative in some well")
    density = np.log1p(cells)
    features = feature_columns(frame)
    values = matrix(frame, features)
    is_control = chosen_rows(frame, reference)
    for key, rows in groups(frame, key_columns(frame, by)):
        controls = rows[is_control[rows]]
        if not controls.size:
            raise ControlsMissingError("cell density", group_name(key), str(reference))
        slope, centre = _lines(values[:, controls], density[controls], min_wells)
        values[:, rows] -= slope[:, None] * (density[rows] - centre[:, None])
    return with_matrix(frame.select(metadata_columns(frame)), features, values)


def _lines(
    values: np.ndarray, density: np.ndarray, min_wells: int
) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares slope of each feature on density, and the mean density behind it."""
    present = np.isfinite(values)
    count = present.sum(axis=1)
    known = np.where(present, values, 0)
    divisor = np.maximum(count, 1)
    centre = (present @ density) / divisor
    offset = np.where(present, density - centre[:, None], 0)
    spread = (offset**2).sum(axis=1)
    slope = np.divide(
        (offset * known).sum(axis=1),
        spread,
        out=np.zeros(len(values)),
        where=(spread > 1e-12) & (count >= min_wells),
    )
    return slope, centre
