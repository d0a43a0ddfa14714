"""Replicability: whether replicates resemble each other more than other wells do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from phenolake.evaluation.confidence import UNKNOWN, Interval, bootstrap_interval
from phenolake.evaluation.similarity import codes
from phenolake.profiling.correlation import pearson
from phenolake.profiling.feature_matrix import feature_columns, groups, key_columns, matrix


@dataclass(frozen=True)
class Replicability:
    """Share above the threshold, the threshold (a Pearson correlation), and what was counted.

    `interval` is the 95 % confidence of the share by bootstrap over perturbations.
    """

    share: float
    threshold: float
    table: pl.DataFrame
    interval: Interval = UNKNOWN


def replicate_reproducibility(
    profiles: pl.DataFrame | pl.LazyFrame, perturbation: str | Iterable[str], quantile: float = 0.95
) -> Replicability:
    """Share of replicate pairs that correlate more than the quantile of non-replicate pairs.

    `table` has a row per perturbation: `pairs`, `above`. NaN without replicate or other pairs.

    References
    ----------
    `replicate_reproducibility` of cytominer-eval (Pearson).
    """
    frame = profiles.lazy().collect()
    keys = key_columns(frame, perturbation)
    correlation = _correlations(frame)
    first, second = np.triu_indices(frame.height, 1)
    pairs = correlation[first, second]
    label = codes(frame, keys)
    same = label[first] == label[second]
    others = pairs[~same & ~np.isnan(pairs)]
    threshold = float(np.quantile(others, quantile)) if others.size else float("nan")
    table = (
        frame.select(keys)[first[same]]
        .with_columns(above=pl.Series(pairs[same] > threshold))
        .group_by(keys)
        .agg(pl.len().cast(pl.Int64).alias("pairs"), pl.col("above").sum().cast(pl.Int64))
        .sort(keys)
    )
    share = float(np.mean(pairs[same] > threshold)) if same.any() and others.size else float("nan")
    interval = bootstrap_interval(pairs[same] > threshold, label[first[same]])
    return Replicability(share, threshold, table, interval)


def percent_replicating(
    profiles: pl.DataFrame | pl.LazyFrame,
    perturbation: str | Iterable[str],
    quantile: float = 0.95,
    null_size: int = 10_000,
    seed: int = 0,
) -> Replicability:
    """Share of perturbations whose replicates agree more than random wells do.

    A perturbation's score is the median Pearson correlation over its pairs of replicates. The
    threshold is the quantile of that score in `null_size` random groups of wells that all come
    from different perturbations, of the most common group size. `table` has a row per
    perturbation with two or more wells: `replicates`, `score`, `replicates_well`.

    References
    ----------
    Way et al., Cell Systems 13:911 (2022); Chandrasekaran et al., Nat. Methods 21:1114 (2024).
    """
    frame = profiles.lazy().collect()
    keys = key_columns(frame, perturbation)
    correlation = _correlations(frame)
    scores: list[dict[str, object]] = []
    for key, rows in groups(frame, keys):
        if rows.size > 1:
            scores.append(
                {**key, "replicates": rows.size, "score": _median_pair(correlation, rows)}
            )
    schema = {name: frame.schema[name] for name in keys} | {
        "replicates": pl.Int64,
        "score": pl.Float64,
    }
    table = pl.DataFrame(scores, schema=schema)
    if table.is_empty():
        return Replicability(float("nan"), float("nan"), table.with_columns(replicates_well=False))
    size = int(table["replicates"].mode().min())  # type: ignore[arg-type]
    null = _null_scores(correlation, codes(frame, keys), size, null_size, seed)
    threshold = float(np.quantile(null, quantile)) if null.size else float("nan")
    table = table.with_columns(replicates_well=pl.col("score") > threshold)
    share = float(table["replicates_well"].to_numpy().mean()) if null.size else float("nan")
    interval = bootstrap_interval(table["replicates_well"], np.arange(table.height))
    return Replicability(share, threshold, table, interval if null.size else UNKNOWN)


def _null_scores(
    correlation: np.ndarray, labels: np.ndarray, size: int, count: int, seed: int
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows_of = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if len(rows_of) < size:
        return np.empty(0)
    scores = np.empty(count)
    for index in range(count):
        chosen = rng.choice(len(rows_of), size, replace=False)
        scores[index] = _median_pair(correlation, [rng.choice(rows_of[label]) for label in chosen])
    return scores[~np.isnan(scores)]


def _median_pair(correlation: np.ndarray, rows: np.ndarray | list[int]) -> float:
    chosen = np.asarray(rows)
    block = correlation[chosen[:, None], chosen]
    return float(np.median(block[np.triu_indices(chosen.size, 1)]))


def _correlations(frame: pl.DataFrame) -> np.ndarray:
    return pearson(np.ascontiguousarray(matrix(frame, feature_columns(frame)).T))
