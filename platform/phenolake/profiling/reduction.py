"""Fewer numbers per profile: principal components, factors, or a chosen few features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.profiling.correlation import pearson
from phenolake.profiling.feature_matrix import (
    feature_columns,
    key_columns,
    matrix,
    metadata_columns,
    with_matrix,
)
from phenolake.profiling.replicate_agreement import replicate_share

METHODS = ("pca", "factor_analysis", "mrmr")


@dataclass(frozen=True)
class Reduction:
    """Result of `reduce_features`.

    Attributes
    ----------
    profiles
        Metadata, then the new columns.
    loadings
        A row per old feature: `feature`, then a column per new one (for `mrmr`: `rank`, from 1 for
        the first chosen, null for those not chosen, and `relevance`).
    centre, weights
        The map to the new columns, weights @ (x - centre); `weights` is None for `mrmr`.
    """

    profiles: pl.DataFrame
    loadings: pl.DataFrame
    centre: np.ndarray
    weights: np.ndarray | None


def reduce_features(
    profiles: pl.DataFrame | pl.LazyFrame,
    method: str = "pca",
    count: int = 50,
    replicates: str = "Metadata_Perturbation",
    seed: int = 0,
) -> Reduction:
    """Profiles in `count` dimensions.

    Parameters
    ----------
    profiles
        A row per well, normalized; every feature complete (select features first).
    method
        - `pca`: principal components `PC001`, ..., in units of the features.
        - `factor_analysis`: posterior means of the factors `Factor001`, ... of a model with
          common factors and noise of each feature's own.
        - `mrmr`: `count` of the features themselves, one by one the one whose relevance, its share
          of variance between `replicates`, most exceeds its mean absolute correlation with those
          already chosen.
    count
        Dimensions; at most features and wells - 1.
    replicates
        Column that replicates share, for `mrmr`; rows with null are not used.
    seed
        For the randomized start of `factor_analysis`.

    References
    ----------
    mrmr: Peng, Long, Ding, IEEE PAMI 27:1226 (2005), with the F-like relevance and correlation
    that Ding and Peng (2005) use for continuous features. Factors of cell profiles: Ljosa et al.,
    J. Biomol. Screen. 18:1321 (2013).
    """
    if method not in METHODS:
        raise UnknownNameError("reduction", method, METHODS)
    frame = profiles.lazy().collect()
    features = feature_columns(frame)
    values = matrix(frame, features)
    complete = np.isfinite(values).all(axis=1)
    if not complete.all():
        first = features[int(np.argmin(complete))]
        raise ConfigurationError(
            f"{method}: {int((~complete).sum())} of {len(features)} features have missing values "
            f"(first {first}); select features first"
        )
    count = min(count, len(features), max(1, frame.height - 1))
    metadata = frame.select(metadata_columns(frame))
    if method == "mrmr":
        return _chosen(frame, features, values, count, replicates)
    centre = values.mean(axis=1)
    centred = values - centre[:, None]
    weights, loadings = (
        _components(centred, count) if method == "pca" else _factors(centred, count, seed)
    )
    word = "PC" if method == "pca" else "Factor"
    names = [f"{word}{number:03d}" for number in range(1, len(weights) + 1)]
    table = pl.DataFrame({"feature": features}).hstack(
        [pl.Series(name, row) for name, row in zip(names, loadings, strict=True)]
    )
    return Reduction(with_matrix(metadata, names, weights @ centred), table, centre, weights)


def _components(centred: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    directions, _, _ = np.linalg.svd(centred, full_matrices=False)
    loadings = _with_fixed_signs(directions[:, :count].T)
    return loadings, loadings


def _factors(centred: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.decomposition import FactorAnalysis

    # Lapack's full decomposition: the randomized one would make results hang on the seed.
    model = FactorAnalysis(count, svd_method="lapack", random_state=seed).fit(centred.T)
    loadings = _with_fixed_signs(model.components_)
    # Posterior mean of the factors: (1 + W N^-1 W')^-1 W N^-1 x, W the loadings, N the noise.
    weighted = loadings / model.noise_variance_
    weights = np.linalg.solve(np.eye(count) + weighted @ loadings.T, weighted)
    return weights, loadings


def _with_fixed_signs(loadings: np.ndarray) -> np.ndarray:
    """Loadings whose largest entry is positive; the sign of a component is arbitrary."""
    largest = loadings[np.arange(len(loadings)), np.abs(loadings).argmax(axis=1)]
    return np.asarray(loadings * np.where(largest < 0, -1, 1)[:, None])


def _chosen(
    frame: pl.DataFrame, features: list[str], values: np.ndarray, count: int, replicates: str
) -> Reduction:
    key_columns(frame, replicates)
    relevance = replicate_share(frame, values, replicates)
    redundancy = np.zeros(len(features))
    correlation = np.abs(np.nan_to_num(pearson(values)))
    chosen: list[int] = []
    left = np.ones(len(features), bool)
    for _ in range(count):
        worth = relevance - redundancy / max(1, len(chosen))
        best = int(np.where(left, worth, -np.inf).argmax())
        chosen.append(best)
        left[best] = False
        redundancy += correlation[best]
    rank: list[int | None] = [None] * len(features)
    for number, index in enumerate(chosen, start=1):
        rank[index] = number
    table = pl.DataFrame(
        {"feature": features, "rank": pl.Series(rank, dtype=pl.Int64), "relevance": relevance}
    )
    keep = [features[index] for index in sorted(chosen)]
    kept = frame.select(*metadata_columns(frame), *keep)
    return Reduction(kept, table, np.zeros(0), None)
