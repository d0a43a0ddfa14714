"""Features on one scale before a linear classifier: standardized, or as normal scores of ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Scale = Literal["standard", "ranks"]

_QUANTILES = 101
# A normal score of 3 is reached by 1 in 700: what lies beyond the training cells says no more.
_LARGEST_SCORE = 3.0


@dataclass(frozen=True, eq=False)
class Scaling:
    """How each feature is scaled, learned from training cells.

    `table`: float32 (2, feature), mean and SD; or float32 (101, feature), increasing quantiles.
    """

    table: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, scale: Scale) -> Scaling:
        """Learn from float32 (n, feature)."""
        if scale == "standard":
            spread = values.std(axis=0, dtype=np.float64)
            table = np.stack([values.mean(axis=0, dtype=np.float64), spread])
        else:
            table = np.quantile(values, np.linspace(0, 1, _QUANTILES), axis=0)
        return cls(table.astype(np.float32))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return scaled values, float32 (n, feature); a feature that never varied becomes 0.

        By ranks a value becomes the normal quantile of its place among the training cells, the
        mean of the lowest and the highest place where values are tied, limited to -3..3.
        """
        if len(self.table) == 2:
            mean, spread = self.table
            varies = spread > 1e-6 * np.maximum(np.abs(mean), 1e-12)
            scaled = np.divide(
                values - mean,
                spread,
                out=np.zeros_like(values),
                where=np.broadcast_to(varies, values.shape),
            )
            return scaled.astype(np.float32)
        from scipy.special import ndtri

        levels = np.linspace(0, 1, len(self.table))
        places = np.empty(values.shape, dtype=np.float64)
        for column, quantiles in enumerate(self.table.T):
            upper = np.interp(values[:, column], quantiles, levels)
            # Mirrored, a run of equal quantiles is entered from its other end.
            lower = 1 - np.interp(-values[:, column], -quantiles[::-1], levels)
            places[:, column] = (lower + upper) / 2
        varies = self.table[0] < self.table[-1]
        scores = np.clip(ndtri(places), -_LARGEST_SCORE, _LARGEST_SCORE)
        return np.where(varies, scores, 0).astype(np.float32)
