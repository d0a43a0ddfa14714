"""Feature selection: which features to keep, and for each dropped one by which rule and value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import polars as pl

from phenolake.errors import UnknownNameError
from phenolake.profiling.correlation import pearson
from phenolake.profiling.feature_matrix import feature_columns, matrix

# Positions go before correlation, or a position could displace a feature it correlates with.
DEFAULT_OPERATIONS = ("variance", "missing", "positions", "correlation", "outliers")


@dataclass(frozen=True)
class Thresholds:
    """Limits of the selection rules.

    Attributes
    ----------
    min_frequency
        `variance` drops a feature whose second most common value is rarer than this share of the
        most common one.
    min_unique
        `variance` drops a feature with fewer distinct values than this share of the rows.
    min_variance
        `variance` drops a feature whose variance (ddof 0) is below this.
    max_missing
        `missing` drops a feature with a larger share of NaN.
    max_correlation
        `correlation` drops one of two features whose Pearson correlation is larger.
    max_absolute
        `outliers` drops a feature with a larger absolute value; meant for normalized profiles.
    blocklist
        `blocklist` drops features that one of these regular expressions matches from the start.
    """

    min_frequency: float = 0.05
    min_unique: float = 0.01
    min_variance: float = 1e-6
    max_missing: float = 0.05
    max_correlation: float = 0.9
    max_absolute: float = 500.0
    blocklist: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """Profiles with the kept features, and a row for each dropped one."""

    profiles: pl.DataFrame
    #: columns feature, operation, reason, value (the number that broke the rule)
    dropped: pl.DataFrame


_Dropped = dict[str, tuple[str, float]]  # feature -> reason, value
_Rule = Callable[[np.ndarray, Sequence[str], Thresholds], _Dropped]


def select_features(
    profiles: pl.DataFrame | pl.LazyFrame,
    operations: Sequence[str] = DEFAULT_OPERATIONS,
    samples: pl.Expr | None = None,
    **thresholds: float | Iterable[str],
) -> Selection:
    """Profiles without uninformative or redundant features, and the list of what was dropped.

    Parameters
    ----------
    profiles
        A row per well, usually normalized.
    operations
        Applied in this order, each to the features that are left: `variance`, `missing`,
        `correlation`, `positions`, `outliers`, `blocklist`.
    samples
        Expression that chooses the rows to judge by; None takes all.
    **thresholds
        Fields of `Thresholds`, such as `max_correlation=0.95`.

    Raises
    ------
    UnknownNameError
        If an operation or a threshold does not exist.

    References
    ----------
    The rules and defaults are those of pycytominer 1.7 (`feature_select`) with `variance` as its
    `frequency_threshold` (caret's nearZeroVar) and `variance_threshold` together. Of two
    correlated features the one with the larger sum of absolute correlations to all features goes;
    on a tie the later one.
    """
    for operation in operations:
        if operation not in RULES:
            raise UnknownNameError("selection operation", operation, RULES)
    limits = _thresholds(thresholds)
    frame = profiles.lazy().collect()
    features = feature_columns(frame)
    values = matrix(frame if samples is None else frame.filter(samples), features)
    rows: list[tuple[str, str, str, float]] = []
    for operation in operations:
        found = RULES[operation](values, features, limits)
        rows += [(name, operation, *found[name]) for name in features if name in found]
        if found:
            keep = [index for index, name in enumerate(features) if name not in found]
            features, values = [features[index] for index in keep], values[keep]
    dropped = pl.DataFrame(
        rows,
        schema={
            "feature": pl.String,
            "operation": pl.String,
            "reason": pl.String,
            "value": pl.Float64,
        },
        orient="row",
    )
    return Selection(frame.drop(dropped["feature"].to_list()), dropped)


def _thresholds(given: dict[str, float | Iterable[str]]) -> Thresholds:
    known = [field.name for field in fields(Thresholds)]
    for name in given:
        if name not in known:
            raise UnknownNameError("threshold", name, known)
    if "blocklist" in given:
        given = {**given, "blocklist": tuple(given["blocklist"])}  # type: ignore[arg-type]
    return Thresholds(**given)  # type: ignore[arg-type]


def _low_variance(values: np.ndarray, features: Sequence[str], limits: Thresholds) -> _Dropped:
    dropped: _Dropped = {}
    row_count = values.shape[1]
    for name, row in zip(features, values, strict=True):
        present = row[~np.isnan(row)]
        counts = np.sort(np.unique(present, return_counts=True)[1])
        if counts.size < 2:
            dropped[name] = ("fewer than two distinct values", float(counts.size))
        elif counts[-2] / counts[-1] < limits.min_frequency:
            dropped[name] = ("one value dominates", counts[-2] / counts[-1])
        elif counts.size / row_count < limits.min_unique:
            dropped[name] = ("few distinct values", counts.size / row_count)
        elif present.var() < limits.min_variance:
            dropped[name] = ("low variance", float(present.var()))
    return dropped


def _missing(values: np.ndarray, features: Sequence[str], limits: Thresholds) -> _Dropped:
    share = np.isnan(values).mean(axis=1) if values.shape[1] else np.zeros(len(features))
    return {
        name: ("share of missing values", float(value))
        for name, value in zip(features, share, strict=True)
        if value > limits.max_missing
    }


def _correlated(values: np.ndarray, features: Sequence[str], limits: Thresholds) -> _Dropped:
    correlation = pearson(values)
    # Rounded, so that the tie rule does not hang on the order of a floating-point sum.
    total = np.round(np.nansum(np.abs(correlation), axis=1), 9)
    rank = np.empty(len(features), np.int64)
    rank[np.argsort(total, kind="stable")] = np.arange(len(features))
    loses = (correlation > limits.max_correlation) & (rank[:, None] > rank[None, :])
    dropped: _Dropped = {}
    for index in np.flatnonzero(loses.any(axis=1)).tolist():
        partner = int(np.argmax(np.where(loses[index], correlation[index], -np.inf)))
        dropped[features[index]] = (
            f"correlates with {features[partner]}",
            float(correlation[index, partner]),
        )
    return dropped


def _positions(values: np.ndarray, features: Sequence[str], limits: Thresholds) -> _Dropped:
    # Imported here: the naming rules belong to the features package.
    from phenolake.features.naming import is_position

    return {name: ("where, not what", np.nan) for name in features if is_position(name)}


def _outliers(values: np.ndarray, features: Sequence[str], limits: Thresholds) -> _Dropped:
    largest = np.fmax.reduce(np.abs(values), axis=1, initial=0)
    return {
        name: ("largest absolute value", float(value))
        for name, value in zip(features, largest, strict=True)
        if value > limits.max_absolute
    }


def _blocklisted(values: np.ndarray, features: Sequence[str], limits: Thresholds) -> _Dropped:
    patterns = [re.compile(pattern) for pattern in limits.blocklist]
    return {
        name: (f"matches {pattern.pattern}", np.nan)
        for name in features
        for pattern in patterns
        if pattern.match(name)
    }


RULES: dict[str, _Rule] = {
    "variance": _low_variance,
    "missing": _missing,
    "correlation": _correlated,
    "positions": _positions,
    "outliers": _outliers,
    "blocklist": _blocklisted,
}
