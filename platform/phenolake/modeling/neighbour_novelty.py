"""Novelty by two signs: distance to the nearest class, and direction away from all training cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phenolake.modeling.novelty import NoveltyReference

#: Places of stored quantiles.
LEVELS = np.linspace(0, 1, 201)
_NEIGHBOUR = 10
# More training cells change a tenth neighbour little, and are stored with every model.
_MOST_CELLS = 5000
_BATCH = 1024
SIGNS = 2


@dataclass(frozen=True, eq=False)
class NeighbourNovelty:
    """How far a cell is from the classes, and how far its direction from that of known cells.

    `centres`, `whitening`: as in `NoveltyReference`. `middle`: float32 (d,), mean of the whitened
    training cells. `directions`: float32 (cell, d), where training cells lie as seen from there,
    length 1. `signs`: float32 (sign, level), increasing quantiles of each sign over known cells.
    `known`: float32, increasing quantiles of the mean rank over known cells.

    Notes
    -----
    Directions count because what sets a class apart is mostly where it lies, not how far out: a
    typical and a strong case of one phenotype lie in one direction.

    References
    ----------
    Lee et al. (2018), "A simple unified framework for detecting out-of-distribution samples"; Sun et
    al. (2022), "Out-of-distribution detection with deep nearest neighbors".
    """

    centres: np.ndarray
    whitening: np.ndarray
    middle: np.ndarray
    directions: np.ndarray
    signs: np.ndarray
    known: np.ndarray

    @classmethod
    def fit(
        cls, reference: NoveltyReference, embedding: np.ndarray, signs: np.ndarray, seed: int = 0
    ) -> NeighbourNovelty:
        """Return the novelty of a model with this embedding of its training cells.

        `signs` (n, 2) are those of held-out cells of the known classes, which set the scale.
        """
        levels = quantiles(signs)
        return cls(
            reference.centres,
            reference.whitening,
            *training_directions(reference, embedding, seed),
            levels,
            quantiles(mean_rank(signs, levels)),
        )

    def score(self, embedding: np.ndarray) -> np.ndarray:
        """Return novelty in 0..1: the share of known cells that are less novel; float32, (n,)."""
        return np.interp(self.ranks(embedding), self.known, LEVELS).astype(np.float32)

    def ranks(self, embedding: np.ndarray) -> np.ndarray:
        """Return the mean rank of the two signs among known cells, float64, (n,)."""
        reference = NoveltyReference(self.centres, self.whitening, self.known)
        measured = read_signs(reference, self.middle, self.directions, embedding)
        return mean_rank(measured, self.signs)


def training_directions(
    reference: NoveltyReference, embedding: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle (d,) of whitened training cells, and directions (cell, d) from there.

    Of more than 5,000 cells that many are drawn.
    """
    cells = reference.whitened(embedding)
    middle = cells.mean(axis=0)
    drawn = np.random.default_rng(seed).permutation(len(cells))[:_MOST_CELLS]
    return middle, _unit(cells[np.sort(drawn)] - middle)


def read_signs(
    reference: NoveltyReference, middle: np.ndarray, directions: np.ndarray, embedding: np.ndarray
) -> np.ndarray:
    """Return two signs of novelty for each cell, float64, shape (n, 2).

    Distance to the nearest class centre; minus the cosine between the directions of the cell and of
    the training cell that is its tenth nearest by it.
    """
    towards = _unit(reference.whitened(embedding) - middle)
    rank = min(_NEIGHBOUR, len(directions)) - 1
    turned = [
        np.partition(-(towards[start : start + _BATCH] @ directions.T), rank, axis=1)[:, rank]
        for start in range(0, len(towards), _BATCH)
    ]
    angle = np.concatenate(turned) if turned else np.empty(0)
    return np.stack([reference.nearest(embedding), angle], axis=1).astype(np.float64)


def mean_rank(measured: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the mean over signs of each one's rank among known cells, 0..1, shape (n,)."""
    ranks = [
        np.interp(values, known, LEVELS) for values, known in zip(measured.T, levels, strict=True)
    ]
    return np.mean(ranks, axis=0)


def quantiles(values: np.ndarray) -> np.ndarray:
    """Return 201 increasing quantiles along the first axis, float32; the levels come last."""
    return np.quantile(values, LEVELS, axis=0).T.astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
