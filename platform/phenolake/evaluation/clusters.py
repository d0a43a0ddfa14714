"""Which profiles are alike: a table of nearest neighbours, and hierarchical clusters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError
from phenolake.evaluation.neighbours import nearest
from phenolake.evaluation.similarity import Cosine
from phenolake.profiling.feature_matrix import feature_columns, key_columns

_MOST_ROWS = 10_000  # the pairwise distances of more take more than 0.8 GB


@dataclass(frozen=True)
class Clusters:
    """Result of `cluster_profiles`.

    Attributes
    ----------
    labels
        Cluster of each row, from 1, numbered in the order of the tree.
    order
        Row numbers as they stand at the leaves of the tree: neighbours are alike.
    linkage
        The tree, as of `scipy.cluster.hierarchy`.
    """

    labels: np.ndarray
    order: np.ndarray
    linkage: np.ndarray


def similarity_table(
    profiles: pl.DataFrame | pl.LazyFrame, keys: str | Iterable[str], count: int = 20
) -> pl.DataFrame:
    """The `count` most similar other profiles of each profile, by cosine.

    Returns
    -------
    polars.DataFrame
        Columns: `keys` of the profile; `neighbour_<key>` without the `Metadata_`; `rank`, from 1;
        `similarity`, -1 to 1.
    """
    frame = profiles.lazy().collect()
    keys = key_columns(frame, keys)
    found, similarity = nearest(frame, count)
    height, count = found.shape
    own = frame.select(keys)[np.repeat(np.arange(height), count)]
    other = frame.select(
        pl.col(name).alias(f"neighbour_{name.removeprefix('Metadata_')}") for name in keys
    )[found.ravel()]
    return own.hstack(other).with_columns(
        pl.Series("rank", np.tile(np.arange(1, count + 1), height), pl.Int32),
        pl.Series("similarity", similarity.ravel()),
    )


def cluster_profiles(
    profiles: pl.DataFrame | pl.LazyFrame, distance: float = 0.5, method: str = "average"
) -> Clusters:
    """Hierarchical clusters of profiles under cosine distance (1 - similarity).

    Parameters
    ----------
    profiles
        At most 10,000 rows, usually consensus profiles.
    distance
        Height at which the tree is cut.
    method
        Linkage: `average`, `complete` or `single`.
    """
    from scipy.cluster.hierarchy import fcluster, leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    frame = profiles.lazy().collect()
    if frame.height > _MOST_ROWS:
        raise ConfigurationError(
            f"cluster_profiles: {frame.height} profiles; at most {_MOST_ROWS} "
            "(form consensus profiles first)"
        )
    if frame.height < 2:
        return Clusters(np.ones(frame.height, np.int64), np.arange(frame.height), np.empty((0, 4)))
    rows = np.arange(frame.height)
    gaps = 1 - Cosine(frame, feature_columns(frame)).between(rows, rows)
    np.fill_diagonal(gaps, 0)
    pairs = squareform(np.clip((gaps + gaps.T) / 2, 0, None), checks=False)
    tree = linkage(pairs, method)
    if frame.height <= 500:
        tree = optimal_leaf_ordering(tree, pairs)
    order = leaves_list(tree)
    cut = fcluster(tree, distance, "distance")
    first = {label: number for number, label in enumerate(dict.fromkeys(cut[order]), start=1)}
    return Clusters(np.array([first[label] for label in cut]), order, tree)
