"""How unlike everything a model was trained on a cell is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

_LEVELS = np.linspace(0, 1, 201)


@dataclass(frozen=True, eq=False)
class NoveltyReference:
    """Class centres, a whitening, and how far off and how unclear known cells are.

    `centres`: float32 (class, d). `whitening`: float32 (d, d), or (d,) for a scale per feature.
    The rest are increasing quantiles (float32) over known cells: `distances` to the nearest centre,
    `entropies` of their probabilities, and `sums` of squares of the two ranks. The last two are
    empty where only distance counts.
    """

    centres: np.ndarray
    whitening: np.ndarray
    distances: np.ndarray
    entropies: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    sums: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    @classmethod
    def fit(
        cls, embedding: np.ndarray, codes: np.ndarray, known: np.ndarray, *, diagonal: bool = False
    ) -> NoveltyReference:
        """Learn centres and within-class spread from training cells; only distance counts so far.

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
        nothing = np.zeros(0, np.float32)
        scale = cls(centres.astype(np.float32), whitening.astype(np.float32), nothing)
        return replace(scale, distances=_quantiles(scale.nearest(known)))

    def scaled_by(self, distances: np.ndarray, entropies: np.ndarray) -> NoveltyReference:
        """Return the reference with held-out cells as its scale; distance and entropy both count.

        Parameters
        ----------
        distances
            float, shape (m,), what `nearest` gives for known cells that were not trained on.
        entropies
            float, shape (m,), the entropies of their probabilities.
        """
        both = replace(self, distances=_quantiles(distances), entropies=_quantiles(entropies))
        return replace(both, sums=_quantiles(both._sum(distances, entropies)))

    def nearest(self, embedding: np.ndarray) -> np.ndarray:
        """Return the distance to the nearest class centre, float32, shape (n,)."""
        white, centres = self._whiten(embedding), self._whiten(self.centres)
        squared = [np.square(white - centre).sum(axis=1) for centre in centres]
        return np.sqrt(np.min(squared, axis=0))

    def score(self, embedding: np.ndarray, entropies: np.ndarray | None = None) -> np.ndarray:
        """Return novelty in 0..1: the share of known cells that are less novel; float32, (n,).

        Less novel are those closer to a class centre or, where the entropies of the cells are given
        and those of known cells are kept, those with the smaller sum of squared ranks by distance
        and by entropy: a new kind of cell lies far from all classes, or between two of them.

        References
        ----------
        Lee et al. (2018), "A simple unified framework for detecting out-of-distribution samples".
        """
        distances = self.nearest(embedding)
        if entropies is None or not len(self.sums):
            return _rank(distances, self.distances)
        return _rank(self._sum(distances, entropies), self.sums)

    def _sum(self, distances: np.ndarray, entropies: np.ndarray) -> np.ndarray:
        return _rank(distances, self.distances) ** 2 + _rank(entropies, self.entropies) ** 2

    def _whiten(self, embedding: np.ndarray) -> np.ndarray:
        embedding = embedding.astype(np.float32)
        return (
            embedding * self.whitening if self.whitening.ndim == 1 else embedding @ self.whitening
        )


def _quantiles(values: np.ndarray) -> np.ndarray:
    return np.quantile(values, _LEVELS).astype(np.float32)


def _rank(values: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    return np.interp(values, quantiles, np.linspace(0, 1, len(quantiles))).astype(np.float32)


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
