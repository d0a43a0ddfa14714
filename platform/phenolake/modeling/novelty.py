"""How far a cell is from everything a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_QUANTILES = 201


@dataclass(frozen=True, eq=False)
class NoveltyReference:
    """Class centres, a whitening and the distances of known cells.

    `centres`: float32 (class, d). `whitening`: float32 (d, d), or (d,) for a scale per feature.
    `distances`: float32, increasing quantiles of the distances of known cells.
    """

    centres: np.ndarray
    whitening: np.ndarray
    distances: np.ndarray

    @classmethod
    def fit(
        cls, embedding: np.ndarray, codes: np.ndarray, known: np.ndarray, *, diagonal: bool = False
    ) -> NoveltyReference:
        """Learn centres and within-class spread from training cells.

        Parameters
        ----------
        embedding
            float, shape (n, d), the training cells.
        codes
            int, shape (n,), their classes, numbered from 0 without a gap.
        known
            float, shape (m, d), cells whose distances set the scale: held-out ones where possible,
            since training cells lie closer to their centres than new cells do.
        diagonal
            Scale each feature by its within-class SD instead of whitening with the full
            (Ledoit-Wolf shrunk) covariance.
        """
        centres = np.stack(
            [embedding[codes == code].mean(axis=0) for code in range(codes.max() + 1)]
        )
        residuals = embedding - centres[codes]
        whitening = _scales(residuals) if diagonal else _whitening(residuals)
        scale = cls(
            centres.astype(np.float32), whitening.astype(np.float32), np.zeros(1, np.float32)
        )
        quantiles = np.quantile(scale.nearest(known), np.linspace(0, 1, _QUANTILES))
        return cls(scale.centres, scale.whitening, quantiles.astype(np.float32))

    def nearest(self, embedding: np.ndarray) -> np.ndarray:
        """Return the distance to the nearest class centre, float32, shape (n,)."""
        white, centres = self.whitened(embedding), self.whitened(self.centres)
        squared = [np.square(white - centre).sum(axis=1) for centre in centres]
        return np.sqrt(np.min(squared, axis=0))

    def whitened(self, embedding: np.ndarray) -> np.ndarray:
        """Return cells with unit spread within classes, float32 (n, d)."""
        embedding = embedding.astype(np.float32)
        return (
            embedding * self.whitening if self.whitening.ndim == 1 else embedding @ self.whitening
        )

    def score(self, embedding: np.ndarray) -> np.ndarray:
        """Return novelty in 0..1: the share of known cells that lie closer; float32, shape (n,).

        References
        ----------
        Lee et al. (2018), "A simple unified framework for detecting out-of-distribution samples".
        """
        levels = np.linspace(0, 1, len(self.distances))
        return np.interp(self.nearest(embedding), self.distances, levels).astype(np.float32)


def _scales(residuals: np.ndarray) -> np.ndarray:
    spread = residuals.std(axis=0)
    # A feature that never varies within a class says nothing about distance.
    return np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-12)


def _whitening(residuals: np.ndarray) -> np.ndarray:
    """Inverse square root of the shrunk covariance; directions without spread count for nothing."""
    from sklearn.covariance import ledoit_wolf

    values, vectors = np.linalg.eigh(
        ledoit_wolf(residuals.astype(np.float64), assume_centered=True)[0]
    )
    usable = values > max(values.max(), 0) * 1e-9
    return vectors * np.where(usable, 1 / np.sqrt(np.where(usable, values, 1.0)), 0.0)
