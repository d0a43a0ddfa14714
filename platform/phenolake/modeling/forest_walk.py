"""Class probabilities of a random forest stored as arrays: one walk per cell and tree."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def walk_forest(
    values: np.ndarray,
    roots: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    leaf: np.ndarray,
    leaf_values: np.ndarray,
) -> np.ndarray:
    """Return mean leaf probabilities over trees, float64, shape (n, class).

    `values` is float32 (n, feature). A node with `leaf` >= 0 ends the walk in that row of
    `leaf_values`; else values at or below `threshold` go left. Trees are added in order, so the
    sums round as they do in scikit-learn.
    """
    total = np.zeros((values.shape[0], leaf_values.shape[1]))
    for tree in range(roots.shape[0]):
        for row in range(values.shape[0]):
            node = roots[tree]
            while leaf[node] < 0:
                node = left[node] if values[row, feature[node]] <= threshold[node] else right[node]
            total[row] += leaf_values[leaf[node]]
    return total / roots.shape[0]
