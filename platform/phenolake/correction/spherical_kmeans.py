"""Groups of directions: k-means of unit vectors under cosine similarity."""

from __future__ import annotations

import numpy as np

_SAMPLE_PER_CLUSTER = 30
_KMEANS_ROUNDS = 10


def spherical_kmeans(direction: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Centres of `count` groups of unit vectors (rows) by spherical k-means.

    Starts as in k-means++ (Arthur, Vassilvitskii, SODA 2007) on a sample, which is enough to seed.
    """
    from phenolake.correction.harmony_kernels import gather_nearest

    rng = np.random.default_rng(seed)
    wells = len(direction)
    count = min(count, wells)
    chosen = rng.choice(wells, min(wells, _SAMPLE_PER_CLUSTER * count), replace=False)
    sample = direction[chosen].astype(np.float32)
    centres = np.empty((count, sample.shape[1]), np.float32)
    gap = np.ones(len(sample))
    for index in range(count):
        # Where all are taken already, any will do.
        weight = gap / gap.sum() if gap.sum() > 0 else None
        centres[index] = sample[rng.choice(len(sample), p=weight)]
        gap = np.minimum(gap, np.clip(1 - sample @ centres[index], 0, None))
    everyone = np.ascontiguousarray(direction, np.float32)
    nearest, sums = np.full(wells, -1), np.empty_like(centres)
    for _ in range(_KMEANS_ROUNDS):
        if not gather_nearest(everyone @ centres.T, everyone, nearest, sums):
            break
        # A centre that lost all its wells stays where it is.
        held = np.unique(nearest)
        centres[held] = _unit(sums[held])
    return centres.astype(np.float64)


def _unit(rows: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1))
