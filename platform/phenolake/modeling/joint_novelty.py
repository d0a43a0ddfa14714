"""Novelty of a cell in several embeddings at once: the mean of its ranks in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phenolake.modeling.neighbour_novelty import (
    LEVELS,
    SIGNS,
    NeighbourNovelty,
    mean_rank,
    quantiles,
)
from phenolake.modeling.novelty import NoveltyReference


@dataclass(frozen=True, eq=False)
class JointNovelty:
    """`parts`: the novelty in each embedding, in order. `known`: as in `NeighbourNovelty`.

    Notes
    -----
    A new kind of cell may lie among known ones in one embedding and apart from them in another.
    """

    parts: tuple[NeighbourNovelty, ...]
    known: np.ndarray

    @classmethod
    def fit(
        cls,
        references: Sequence[NoveltyReference],
        embeddings: Sequence[np.ndarray],
        signs: np.ndarray,
        seed: int = 0,
    ) -> JointNovelty:
        """Return the novelty in several embeddings (n, d) of the training cells.

        `signs` (m, 2 x embeddings) are those of held-out cells of the known classes.
        """
        own = np.split(signs, range(SIGNS, signs.shape[1], SIGNS), axis=1)
        parts = tuple(
            NeighbourNovelty.fit(reference, embedding, read, seed)
            for reference, embedding, read in zip(references, embeddings, own, strict=True)
        )
        return cls(parts, quantiles(mean_rank(signs, quantiles(signs))))

    def score(self, embedding: np.ndarray) -> np.ndarray:
        """Return novelty in 0..1: the share of known cells that are less novel; float32, (n,).

        `embedding`: the embeddings of all parts side by side, (n, sum of their d).
        """
        ends = np.cumsum([len(part.whitening) for part in self.parts])
        beside = np.split(embedding, ends[:-1], axis=1)
        ranks = [part.ranks(own) for part, own in zip(self.parts, beside, strict=True)]
        mean: np.ndarray = np.mean(ranks, axis=0)
        return np.interp(mean, self.known, LEVELS).astype(np.float32)
