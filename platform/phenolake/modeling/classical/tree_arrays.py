"""Decision trees of all kinds as arrays in a row: checked when read, walked by compiled code."""

from __future__ import annotations

import numpy as np

from phenolake.errors import ModelFileError

#: Arrays of stored trees: one entry per node of all trees, in a row.
NODE_ARRAYS = ("feature", "threshold", "left", "right", "leaf")


def check_trees(
    roots: np.ndarray, nodes: dict[str, np.ndarray], leaf_values: np.ndarray, features: int
) -> None:
    """Refuse arrays on which a walk would leave the tree or never end.

    Raises
    ------
    ModelFileError
        If a child, a leaf or a feature number is out of place.
    """
    index = np.arange(len(nodes["leaf"]))
    inner = nodes["leaf"] < 0
    ends = np.append(roots[1:], len(index))[np.searchsorted(roots, index, "right") - 1]
    children = np.stack([nodes["left"], nodes["right"]])[:, inner]
    sound = (
        (children > index[inner]).all()
        and (children < ends[inner]).all()
        and nodes["leaf"].max() < len(leaf_values)
        and (nodes["feature"][inner] >= 0).all()
        and (nodes["feature"][inner] < features).all()
    )
    if not sound:
        raise ModelFileError("forest", "its trees are damaged")


def mean_of_leaves(
    values: np.ndarray, roots: np.ndarray, nodes: dict[str, np.ndarray], leaf_values: np.ndarray
) -> np.ndarray:
    """Return the mean over trees of the leaf values cells reach, float64, shape (n, column)."""
    from phenolake.modeling.forest_walk import walk_forest

    return walk_forest(values, roots, *(nodes[name] for name in NODE_ARRAYS), leaf_values)


def float32_at_or_below(values: np.ndarray) -> np.ndarray:
    """Return float64 thresholds as float32 rounded down: decisions on float32 features stay."""
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded).astype(
        np.float32
    )
