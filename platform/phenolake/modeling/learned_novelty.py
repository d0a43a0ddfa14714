"""Novelty learned by rehearsal: which signs gave away the classes that were left out in turn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phenolake.modeling.novelty import NoveltyReference

_LEVELS = np.linspace(0, 1, 201)
# Temperatures of the class posteriors, as shares of the embedding's dimension.
_SHARP, _EVEN, _BLUNT = 1 / 3, 1.0, 8 / 3
SIGNS = 7


@dataclass(frozen=True, eq=False)
class LearnedNovelty:
    """How signs of novelty are read in the embedding of a model, and weighed against each other.

    `centres`, `whitening`: as in `NoveltyReference`. `middle`: float32 (d,), mean of all whitened
    training cells. `root`: float32 (d, d), inverse root of their covariance. `signs`: float32
    (sign, level), increasing quantiles of each sign over known cells. `slopes`: float32, weights of
    the ranks of the signs, their squares and products. `known`: float32, increasing quantiles of
    the weighted sum over known cells.
    """

    centres: np.ndarray
    whitening: np.ndarray
    middle: np.ndarray
    root: np.ndarray
    signs: np.ndarray
    slopes: np.ndarray
    known: np.ndarray

    def score(self, embedding: np.ndarray) -> np.ndarray:
        """Return novelty in 0..1: the share of known cells that are less novel; float32, (n,)."""
        measured = read_signs(self._reference(), self.middle, self.root, embedding)
        total = terms(ranks(measured, self.signs)) @ self.slopes
        return np.interp(total, self.known, _LEVELS).astype(np.float32)

    def _reference(self) -> NoveltyReference:
        return NoveltyReference(self.centres, self.whitening, self.known)


def overall_spread(
    reference: NoveltyReference, embedding: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return middle (d,) and inverse root of the covariance (d, d) of whitened training cells."""
    from sklearn.covariance import ledoit_wolf

    cells = reference.whitened(embedding).astype(np.float64)
    middle = cells.mean(axis=0)
    values, vectors = np.linalg.eigh(ledoit_wolf(cells - middle, assume_centered=True)[0])
    root = vectors / np.sqrt(np.maximum(values, values.max() * 1e-9))
    return middle.astype(np.float32), root.astype(np.float32)


def read_signs(
    reference: NoveltyReference, middle: np.ndarray, root: np.ndarray, embedding: np.ndarray
) -> np.ndarray:
    """Return seven signs of novelty for each cell, float64, shape (n, 7).

    Distance to the nearest centre; entropy of the class posterior at three temperatures; minus log
    density under all classes; distance to the nearest centre beyond that to the middle of all
    cells; nearness to the middle. A new kind of cell is far from all classes, between two, or in
    the middle of them all, where no class pulls.
    """
    from scipy.special import logsumexp, softmax

    cells = reference.whitened(embedding).astype(np.float64)
    centres = reference.whitened(reference.centres).astype(np.float64)
    squared = np.stack([np.square(cells - centre).sum(axis=1) for centre in centres], axis=1)
    dimension = cells.shape[1]
    columns = [np.sqrt(squared.min(axis=1))]
    for share in (_SHARP, _EVEN, _BLUNT):
        posterior = softmax(-squared / (2 * share * dimension), axis=1)
        logs = np.log(np.maximum(posterior, 1e-12))
        columns.append(-(posterior * logs).sum(axis=1))
    columns.append(-logsumexp(-squared / (2 * _EVEN * dimension), axis=1))
    off_middle = np.square((cells - middle) @ root).sum(axis=1)
    overall = np.square(1 / np.linalg.norm(root, axis=0)).mean()
    columns.append(squared.min(axis=1) - off_middle * overall)
    columns.append(-np.linalg.norm(cells - middle, axis=1))
    return np.stack(columns, axis=1)


def ranks(measured: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Return each sign as its rank among known cells, -0.5..0.5, shape (n, sign)."""
    columns = [
        np.interp(values, levels, _LEVELS) - 0.5
        for values, levels in zip(measured.T, quantiles, strict=True)
    ]
    return np.stack(columns, axis=1)


def terms(ranked: np.ndarray) -> np.ndarray:
    """Return ranks, their squares and their products, shape (n, 35)."""
    first, second = np.triu_indices(ranked.shape[1])
    return np.concatenate([ranked, ranked[:, first] * ranked[:, second]], axis=1)


def quantiles(values: np.ndarray) -> np.ndarray:
    """Return 201 increasing quantiles along the first axis, float32; the levels come last."""
    return np.quantile(values, _LEVELS, axis=0).T.astype(np.float32)
