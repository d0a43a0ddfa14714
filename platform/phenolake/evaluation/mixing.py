"""How well batches mix and labels keep together among a well's nearest neighbours."""

from __future__ import annotations

import numpy as np

_BISECTIONS = 60


def kbet_accepted(
    neighbours: np.ndarray, batches: np.ndarray, significance: float = 0.05
) -> np.ndarray:
    """Whether each well's neighbours hold the batches in the proportions of the whole table.

    Pearson's chi-squared test for each well, itself not counted; with perfect mixing a share of
    1 - significance passes. Float64, 1 or 0, shape (well,); NaN with one batch or no neighbours.

    Parameters
    ----------
    neighbours
        Row numbers, shape (well, neighbour).
    batches
        Whole numbers from 0, one per well.

    References
    ----------
    Büttner et al., A test metric for assessing single-cell RNA-seq batch correction, Nat. Methods
    16:43 (2019).
    """
    from scipy.stats import chi2

    sizes = np.bincount(batches)
    present = np.flatnonzero(sizes)
    if present.size < 2 or not neighbours.shape[1]:
        return np.full(len(neighbours), np.nan)
    counts = np.stack([(batches[neighbours] == batch).sum(axis=1) for batch in present], axis=1)
    expected = sizes[present] / batches.size * neighbours.shape[1]
    statistic = ((counts - expected) ** 2 / expected).sum(axis=1)
    return (chi2.sf(statistic, present.size - 1) >= significance).astype(np.float64)


def kbet_acceptance(
    neighbours: np.ndarray, batches: np.ndarray, significance: float = 0.05
) -> float:
    """Share of wells around which batches are mixed as in the whole table (kBET), 0 to 1.

    Pearson's chi-squared test for each well; with perfect mixing 1 - `significance` pass.

    Parameters
    ----------
    neighbours
        Row numbers, shape (well, neighbour).
    batches
        Whole numbers from 0, one per well.

    References
    ----------
    Büttner et al., Nat. Methods 16:43 (2019).
    """
    return float(np.mean(kbet_accepted(neighbours, batches, significance)))


def local_diversity(
    distances: np.ndarray,
    neighbours: np.ndarray,
    labels: np.ndarray,
    perplexity: float | None = None,
) -> np.ndarray:
    """Effective number of labels around each well (LISI), float64, shape (well,), at least 1.

    The inverse Simpson index of the neighbours' labels under Gaussian weights, whose width gives
    each well's weights the same perplexity.

    Parameters
    ----------
    distances, neighbours
        Of each well to its nearest, shape (well, neighbour), nearest first.
    labels
        Whole numbers from 0, one per well.
    perplexity
        None takes a third of the neighbours.

    References
    ----------
    Korsunsky et al., Nat. Methods 16:1289 (2019).
    """
    count = neighbours.shape[1]
    if not count:
        return np.full(len(neighbours), np.nan)
    weights = _gaussian_weights(distances, perplexity or max(count / 3, 1.0))
    of = labels[neighbours]
    index = np.zeros(len(neighbours))
    for label in np.unique(labels):
        index += np.where(of == label, weights, 0).sum(axis=1) ** 2
    return np.asarray(1 / index)


def label_connectivity(neighbours: np.ndarray, labels: np.ndarray) -> dict[int, float]:
    """Share of each label's wells in one connected piece of the graph, by label.

    Wells are linked to their neighbours; links count both ways and only within a label. Labels of
    one well are left out. 1 is best.

    References
    ----------
    Luecken et al., Benchmarking atlas-level data integration, Nat. Methods 19:41 (2022).
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows = np.repeat(np.arange(len(neighbours)), neighbours.shape[1])
    others = neighbours.ravel()
    same = labels[rows] == labels[others]
    size = len(neighbours)
    graph = coo_matrix((np.ones(int(same.sum())), (rows[same], others[same])), (size, size))
    _, piece = connected_components(graph, directed=False)
    shares = {}
    for label in np.unique(labels):
        pieces = piece[labels == label]
        if pieces.size > 1:
            shares[int(label)] = float(np.bincount(pieces).max() / pieces.size)
    return shares


def graph_connectivity(neighbours: np.ndarray, labels: np.ndarray) -> float:
    """Mean share of a label's wells in one connected piece of the neighbour graph, 0 to 1.

    Links count both ways and only within a label; NaN where no label has two wells.

    Parameters
    ----------
    neighbours
        Row numbers, shape (well, neighbour).
    labels
        Whole numbers from 0, one per well.

    References
    ----------
    Luecken et al., Nat. Methods 19:41 (2022).
    """
    shares = label_connectivity(neighbours, labels)
    return float(np.mean(list(shares.values()))) if shares else float("nan")


def _gaussian_weights(distances: np.ndarray, perplexity: float) -> np.ndarray:
    """Weights exp(-beta d) summing to 1 per row, beta by bisection for the given perplexity."""
    offset = distances - distances.min(axis=1, keepdims=True)
    target = np.log(min(perplexity, distances.shape[1]))
    low, high = np.zeros(len(offset)), np.full(len(offset), np.inf)
    beta = np.ones(len(offset))
    for _ in range(_BISECTIONS):
        weights = np.exp(-beta[:, None] * offset)
        total = weights.sum(axis=1)
        entropy = np.log(total) + beta * (offset * weights).sum(axis=1) / total
        wide = entropy > target  # too many neighbours count: sharpen
        low, high = np.where(wide, beta, low), np.where(wide, high, beta)
        beta = np.where(np.isinf(high), beta * 2, (low + high) / 2)
    weights = np.exp(-beta[:, None] * offset)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
