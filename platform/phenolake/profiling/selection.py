"""Feature selection: which features to keep, and for each dropped one by which rule and value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import polars as pl

from phenolake.errors import UnknownNameError
from phenolake.profiling.correlation import pearson
from phenolake.profiling.feature_matrix import feature_columns, key_columns, matrix
from phenolake.profiling.replicate_agreement import replicate_share

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
    replicates
        Column that replicates share, for `noise`.
    min_agreement
        `noise` drops a feature whose replicates agree less: the intraclass correlation, the share
        of variance between treatments.
    """

    min_frequency: float = 0.05
    min_unique: float = 0.01
    min_variance: float = 1e-6
    max_missing: float = 0.05
    max_correlation: float = 0.9
    max_absolute: float = 500.0
    blocklist: tuple[str, ...] = ()
    replicates: str = "Metadata_Perturbation"
    min_agreement: float = 0.05


@dataclass(frozen=True)
class Selection:
    """Profiles with the kept features, and a row for each dropped one."""

    profiles: pl.DataFrame
    #: columns feature, operation, reason, value (the number that broke the rule)
    dropped: pl.DataFrame


_Dropped = dict[str, tuple[str, float]]  # feature -> reason, value


@dataclass(frozen=True)
class _Judged:
    """What a rule looks at: the features that are left, their values (feature, row), the rows."""

    features: list[str]
    values: np.ndarray
    rows: pl.DataFrame
    limits: Thresholds


_Rule = Callable[[_Judged], _Dropped]


def select_features(
    profiles: pl.DataFrame | pl.LazyFrame,
    operations: Sequence[str] = DEFAULT_OPERATIONS,
    samples: pl.Expr | None = None,
    **thresholds: float | str | Iterable[str],
) -> Selection:
    """Profiles without uninformative or redundant features, and the list of what was dropped.

    Parameters
    ----------
    profiles
        A row per well, usually normalized.
    operations
        Applied in this order, each to the features that are left: `variance`, `missing`,
        `correlation`, `positions`, `outliers`, `blocklist`, `noise` (of replicates).
    samples
        Expression that chooses the rows to judge by; None takes all.
    **thresholds
        Fields of `Thresholds`, such as `max_correlation=0.95`.

    Returns
    -------
    Selection
        `profiles` with the kept features, and `dropped`: `feature`, `operation`, `reason`, `value`.

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
    judged = frame if samples is None else frame.filter(samples)
    values = matrix(judged, features)
    rows: list[tuple[str, str, str, float]] = []
    for operation in operations:
        found = RULES[operation](_Judged(features, values, judged, limits))
        rows += [(name, operation, *found[name]) for name in features if name in found]
        if found:
            keep = [index for index, name in enumerate(features) if name not in found]
            features = [features[index] for index in keep]
            # Moved up in place: a copy of the matrix takes longer than most rules.
            for row, index in enumerate(keep):
                values[row] = values[index]
            values = values[: len(keep)]
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


def _thresholds(given: dict[str, float | str | Iterable[str]]) -> Thresholds:
    known = [field.name for field in fields(Thresholds)]
    for name in given:
        if name not in known:
            raise UnknownNameError("threshold", name, known)
    if "blocklist" in given:
        given = {**given, "blocklist": tuple(given["blocklist"])}  # type: ignore[arg-type]
    return Thresholds(**given)  # type: ignore[arg-type]


def _low_variance(judged: _Judged) -> _Dropped:
    dropped: _Dropped = {}
    row_count = judged.values.shape[1]
    for name, row in zip(judged.features, judged.values, strict=True):
        gaps = np.isnan(row)
        present = row[~gaps] if gaps.any() else row
        distinct, (second, first) = _commonest(present)
        if distinct < 2:
            dropped[name] = ("fewer than two distinct values", float(distinct))
        elif second / first < judged.limits.min_frequency:
            dropped[name] = ("one value dominates", second / first)
        elif distinct / row_count < judged.limits.min_unique:
            dropped[name] = ("few distinct values", distinct / row_count)
        elif present.var() < judged.limits.min_variance:
            dropped[name] = ("low variance", float(present.var()))
    return dropped


def _commonest(values: np.ndarray) -> tuple[int, tuple[int, int]]:
    """How many values differ, and how often the second most common and the commonest occur."""
    ordered = np.sort(values)
    last = np.flatnonzero(ordered[1:] != ordered[:-1])
    if last.size + 1 >= ordered.size:  # each once
        return ordered.size, (1, 1)
    counts = np.diff(last, prepend=-1, append=ordered.size - 1)
    second, first = np.partition(counts, -2)[-2:].tolist() if counts.size > 1 else (0, counts[0])
    return counts.size, (second, first)


def _missing(judged: _Judged) -> _Dropped:
    share = (
        np.isnan(judged.values).mean(axis=1)
        if judged.values.shape[1]
        else np.zeros(len(judged.features))
    )
    return {
        name: ("share of missing values", float(value))
        for name, value in zip(judged.features, share, strict=True)
        if value > judged.limits.max_missing
    }


def _correlated(judged: _Judged) -> _Dropped:
    correlation = pearson(judged.values)
    # Rounded, so that the tie rule does not hang on the order of a floating-point sum.
    total = np.round(np.nansum(np.abs(correlation), axis=1), 9)
    rank = np.empty(len(judged.features), np.int64)
    rank[np.argsort(total, kind="stable")] = np.arange(len(judged.features))
    loses = (correlation > judged.limits.max_correlation) & (rank[:, None] > rank[None, :])
    dropped: _Dropped = {}
    for index in np.flatnonzero(loses.any(axis=1)).tolist():
        partner = int(np.argmax(np.where(loses[index], correlation[index], -np.inf)))
        dropped[judged.features[index]] = (
            f"correlates with {judged.features[partner]}",
            float(correlation[index, partner]),
        )
    return dropped


def _positions(judged: _Judged) -> _Dropped:
    # Imported here: the naming rules belong to the features package.
    from phenolake.features.naming import is_position

    return {name: ("where, not what", np.nan) for name in judged.features if is_position(name)}


def _outliers(judged: _Judged) -> _Dropped:
    largest = np.fmax.reduce(np.abs(judged.values), axis=1, initial=0)
    return {
        name: ("largest absolute value", float(value))
        for name, value in zip(judged.features, largest, strict=True)
        if value > judged.limits.max_absolute
    }


def _blocklisted(judged: _Judged) -> _Dropped:
    patterns = [re.compile(pattern) for pattern in judged.limits.blocklist]
    return {
        name: (f"matches {pattern.pattern}", np.nan)
        for name in judged.features
        for pattern in patterns
        if pattern.match(name)
    }


def _noise(judged: _Judged) -> _Dropped:
    key_columns(judged.rows, judged.limits.replicates)
    share = replicate_share(judged.rows, judged.values, judged.limits.replicates)
    return {
        name: ("replicates disagree", float(value))
        for name, value in zip(judged.features, share, strict=True)
        if value < judged.limits.min_agreement
    }


RULES: dict[str, _Rule] = {
    "variance": _low_variance,
    "missing": _missing,
    "correlation": _correlated,
    "positions": _positions,
    "outliers": _outliers,
    "blocklist": _blocklisted,
    "noise": _noise,
}
