"""What average precision is by chance: random rankings, p-values and their adjustment."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from math import comb

import numpy as np

_VALUES_AT_ONCE = 4_000_000


class NullDistributions:
    """Average precisions of random rankings, drawn once per number of positives and negatives."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self._drawn: dict[tuple[int, int], np.ndarray] = {}
        self._listed: dict[tuple[int, int], np.ndarray] = {}

    def of(self, positives: int, negatives: int) -> np.ndarray:
        """Average precisions of `size` random rankings, float64."""
        shape = (positives, negatives)
        if shape not in self._drawn:
            # Seeded by the shape too: the order of calls changes nothing.
            rng = np.random.default_rng((self.seed, *shape))
            at_once = max(1, _VALUES_AT_ONCE // (positives + negatives))
            blocks = [
                _random_precisions(rng, min(at_once, self.size - start), positives, negatives)
                for start in range(0, self.size, at_once)
            ]
            self._drawn[shape] = np.concatenate(blocks)
        return self._drawn[shape]

    def exact(self, positives: int, negatives: int) -> np.ndarray | None:
        """Average precisions of all rankings, each once; None if there are more than `size`."""
        if comb(positives + negatives, positives) > self.size:
            return None
        shape = (positives, negatives)
        if shape not in self._listed:
            ranks = np.array(list(combinations(range(1, sum(shape) + 1), positives)), np.float64)
            self._listed[shape] = (np.arange(1, positives + 1) / ranks).mean(axis=1)
        return self._listed[shape]

    def p_value(self, mean_precision: float, shapes: Iterable[tuple[int, int]]) -> float:
        """Chance that a random mean over such queries is at least as large; never 0.

        Queries of one shape share their random rankings, as in copairs. Where all have one shape
        with at most `size` rankings, these are listed and the value is exact; else it is an
        estimate, of which 1 / (`size` + 1) is the least.
        """
        shapes = list(shapes)
        if len(set(shapes)) == 1 and (every := self.exact(*shapes[0])) is not None:
            return float(np.mean(np.round(every, 12) >= round(mean_precision, 12)))
        null = np.zeros(self.size)
        for shape in set(shapes):
            null += self.of(*shape) * (shapes.count(shape) / len(shapes))
        # Rounded, so that equal means summed in another order count as equal.
        at_least = np.count_nonzero(np.round(null, 12) >= round(mean_precision, 12))
        return (1 + at_least) / (1 + self.size)


def _random_precisions(
    rng: np.random.Generator, count: int, positives: int, negatives: int
) -> np.ndarray:
    order = rng.random((count, positives + negatives)).argsort(axis=1)
    # Where the first `positives` items land is a random set of ranks.
    is_positive = order < positives
    hits = np.cumsum(is_positive, axis=1)
    precision = hits / np.arange(1, positives + negatives + 1)
    return np.asarray((precision * is_positive).sum(axis=1) / positives)


def adjusted_p_values(p_values: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg false discovery rates, in the order given."""
    count = p_values.size
    order = np.argsort(p_values)
    ratio = p_values[order] * count / np.arange(1, count + 1)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(np.minimum.accumulate(ratio[::-1])[::-1], 1)
    return adjusted
