"""Features on one scale before a linear classifier: standardized, or as normal scores of ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Scale = Literal["standard", "ranks"]

_LEVELS = np.linspace(0, 1, 101)
# A normal score of 3 is reached by 1 in 700: no training cell goes beyond it, a new kind may.
_LARGEST_KNOWN, _LARGEST = 3.0, 6.0


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
            table = np.quantile(values, _LEVELS, axis=0)
        return cls(table.astype(np.float32))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return scaled values, float32 (n, feature); a feature that never varied becomes 0.

        By ranks a value becomes the normal quantile of its place among the training cells, the
        middle place where values are tied, within -3..3. Values outside of the training range go
        on in a straight line from there, to -6..6 at most.
        """
        if len(self.table) == 2:
            mean, spread = self.table
            varies = spread > 1e-6 * np.maximum(np.abs(mean), 1e-12)
            return np.where(varies, (values - mean) / np.where(varies, spread, 1), 0).astype(
                np.float32
            )
        from scipy.special import ndtri

        places = np.empty(values.shape)
        for column, quantiles in enumerate(self.table.T):
            upper = np.interp(values[:, column], quantiles, _LEVELS)
            # Mirrored, a run of equal quantiles is entered from its other end.
            lower = 1 - np.interp(-values[:, column], -quantiles[::-1], _LEVELS)
            places[:, column] = (lower + upper) / 2
        scores = np.clip(ndtri(places), -_LARGEST_KNOWN, _LARGEST_KNOWN) + self._beyond(values)
        varies = self.table[0] < self.table[-1]
        return np.where(varies, np.clip(scores, -_LARGEST, _LARGEST), 0).astype(np.float32)

    def _beyond(self, values: np.ndarray) -> np.ndarray:
        """How far values lie outside of the training range, in scores: 0 inside of it."""
        lowest, middle, highest = self.table[0], self.table[len(self.table) // 2], self.table[-1]
        over = np.maximum(values - highest, 0) / np.maximum(highest - middle, 1e-9)
        under = np.maximum(lowest - values, 0) / np.maximum(middle - lowest, 1e-9)
        return _LARGEST_KNOWN * (np.minimum(over, 1) - np.minimum(under, 1))
