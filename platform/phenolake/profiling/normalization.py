"""Profiles in units of the controls' spread, plate by plate.

By rule a feature that does not vary among the controls of a group becomes NaN there, never inf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from phenolake.errors import ControlsMissingError, UnknownNameError
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
from phenolake.profiling.robust_stats import (
    is_constant,
    mean,
    median,
    median_absolute_deviation,
    quantile,
    standard_deviation,
)


def _mean_and_sd(controls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return mean(controls), standard_deviation(controls)


def _median_and_mad(controls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centre = median(controls)
    return centre, median_absolute_deviation(controls, centre)


def _mean_alone(controls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centre = mean(controls)
    return centre, np.where(np.isnan(centre), np.nan, 1.0)


def _range(controls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low = np.fmin.reduce(controls, axis=1)
    return low, np.fmax.reduce(controls, axis=1) - low


def _percentiles(controls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low = quantile(controls, 0.01)
    return low, quantile(controls, 0.99) - low


#: Controls (feature, row) to centre and spread; `inverse_normal` needs the controls themselves.
METHODS: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "standardize": _mean_and_sd,
    "mad_robustize": _median_and_mad,
    "centre": _mean_alone,
    "range": _range,
    "percentile": _percentiles,
    "inverse_normal": _range,
}


class _Group(NamedTuple):
    key: dict[str, object]
    rows: np.ndarray | slice
    values: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    has_values: np.ndarray
    controls: np.ndarray


def normalize(
    profiles: pl.DataFrame | pl.LazyFrame,
    method: str,
    by: str | Iterable[str] = ("Metadata_Plate",),
    reference: pl.Expr | None = None,
    epsilon: float = 0.0,
) -> pl.DataFrame:
    """Profiles with each feature centred and scaled by the controls of its group.

    Parameters
    ----------
    profiles
        A row per well.
    method
        - `standardize`: (x - mean) / SD with ddof 0.
        - `mad_robustize`: (x - median) / (1.4826 MAD + epsilon).
        - `centre`: x - mean.
        - `range`: (x - min) / (max - min). `percentile`: the same with the 1st and 99th percentile.
        - `inverse_normal`: the normal quantile of the value's mid-rank among the controls, Blom's
          (rank - 3/8) / (n + 1/4); values beyond all controls share the last quantile.
    by
        Columns that name a group, usually the plate, or the batch; empty for one group.
    reference
        Expression that chooses the control rows, such as
        `pl.col("Metadata_ControlType") == "negcon"`; None takes all rows.
    epsilon
        Added to the spread of `mad_robustize`. A spread of 0 gives NaN whatever epsilon is.

    Returns
    -------
    polars.DataFrame
        The same rows in the same order: metadata columns, then features (float64). NaN where the
        value is missing, or the controls have no value or no spread; see `constant_features`.

    Raises
    ------
    ControlsMissingError
        If a group has no control rows; names the method and the plate.
    UnknownNameError
        If the method or a column does not exist.
    """
    frame, features, by = _checked(profiles, method, by)
    # In place, a group at a time: the matrix read is the matrix returned, and memory is what costs.
    values = matrix(frame, features)
    for group in _groups(frame, values, method, by, reference):
        spread = group.spread + epsilon if method == "mad_robustize" else group.spread
        scale = np.divide(1, spread, out=np.full(spread.shape, np.nan), where=group.spread > 0)
        here = group.values
        if method == "inverse_normal":
            here[:] = normal_scores(here, group.controls, scale)
        else:
            here -= group.centre[:, None]
            here *= scale[:, None]
        # An infinite measurement, or the inverse of a denormal spread, is no usable value either.
        np.copyto(here, np.nan, where=np.isinf(here))
        if not np.shares_memory(here, values):
            values[:, group.rows] = here
    return with_matrix(frame.select(metadata_columns(frame)), features, values)


def constant_features(
    profiles: pl.DataFrame | pl.LazyFrame,
    method: str = "standardize",
    by: str | Iterable[str] = ("Metadata_Plate",),
    reference: pl.Expr | None = None,
) -> pl.DataFrame:
    """List the features that `normalize` turns into NaN, per group.

    Returns
    -------
    polars.DataFrame
        Columns: those of `by`, `feature`, `reason`: `constant` (all control values are equal),
        `no_spread` (they differ, but more than half are equal, so that the MAD is 0), or `missing`
        (the controls have no value).
    """
    frame, features, by = _checked(profiles, method, by)
    found: list[dict[str, object]] = []
    for group in _groups(frame, matrix(frame, features), method, by, reference):
        constant = is_constant(group.values[:, chosen_rows(frame[group.rows], reference)])
        for index in np.flatnonzero(~(group.spread > 0)):
            reason = "constant" if constant[index] else "no_spread"
            if not group.has_values[index]:
                reason = "missing"
            found.append({**group.key, "feature": features[index], "reason": reason})
    schema = {name: frame.schema[name] for name in by} | {"feature": pl.String, "reason": pl.String}
    return pl.DataFrame(found, schema=schema)


def normal_scores(values: np.ndarray, controls: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Blom's normal quantiles of values among controls, both (feature, row); NaN where scale is."""
    from scipy.special import ndtri

    result = np.full(values.shape, np.nan)
    for index in np.flatnonzero(np.isfinite(scale)):
        ordered = np.sort(controls[index][~np.isnan(controls[index])])
        below = np.searchsorted(ordered, values[index], side="left")
        upto = np.searchsorted(ordered, values[index], side="right")
        rank = (below + upto + 1) / 2
        result[index] = ndtri((rank - 0.375) / (ordered.size + 0.25))
    result[~np.isfinite(values)] = np.nan
    return result


def signed_log(profiles: pl.DataFrame | pl.LazyFrame, scale: float = 1.0) -> pl.DataFrame:
    """Profiles with every feature `x` as `sign(x) log(1 + |x| / scale)`.

    Apply it to normalized profiles: a few features of many SDs no longer rule every distance.
    """
    frame = profiles.lazy().collect()
    features = feature_columns(frame)
    columns = [pl.col(name).cast(pl.Float64) for name in features]
    return frame.with_columns(column.sign() * (column.abs() / scale).log1p() for column in columns)


def _checked(
    profiles: pl.DataFrame | pl.LazyFrame, method: str, by: str | Iterable[str]
) -> tuple[pl.DataFrame, list[str], list[str]]:
    if method not in METHODS:
        raise UnknownNameError("normalization method", method, METHODS)
    frame = profiles.lazy().collect()
    return frame, feature_columns(frame), key_columns(frame, by)


def _groups(
    frame: pl.DataFrame, values: np.ndarray, method: str, by: list[str], reference: pl.Expr | None
) -> Iterator[_Group]:
    """Each group with its values: a view of `values` where its rows follow each other."""
    is_control = chosen_rows(frame, reference)
    for key, rows in groups(frame, by):
        controls_here = is_control[rows]
        if not controls_here.any():
            raise ControlsMissingError(method, group_name(key), str(reference))
        is_run = rows[-1] - rows[0] + 1 == rows.size
        place = slice(rows[0], rows[-1] + 1) if is_run else rows
        here = values[:, place]
        controls = here[:, controls_here]
        # An infinite control value would make the centre infinite.
        controls[np.isinf(controls)] = np.nan
        centre, spread = METHODS[method](controls)
        yield _Group(key, place, here, centre, spread, ~np.isnan(centre), controls)
