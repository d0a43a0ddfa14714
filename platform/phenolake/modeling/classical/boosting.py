"""Gradient boosted trees on features, kept as plain arrays so that nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from phenolake.modeling.classical.feature_matrix import FeatureColumns, feature_parts
from phenolake.modeling.classical.tree_arrays import (
    check_trees,
    float32_at_or_below,
    mean_of_leaves,
)
from phenolake.modeling.novelty import NoveltyReference


@dataclass(frozen=True, eq=False)
class BoostedTrees:
    """Trained boosted trees; probabilities are the softmax of the sum of all trees.

    `roots`, `nodes`: as in `Forest`. `leaf_values`: float64 (leaf, class), 0 but for the class
    that the leaf's tree scores. `baseline`: float64 (class,), scores before the first tree.
    """

    kind: ClassVar[str] = "boosting"
    takes: ClassVar[str] = "features"
    classes: tuple[str, ...]
    columns: FeatureColumns
    roots: np.ndarray
    nodes: dict[str, np.ndarray]
    leaf_values: np.ndarray
    baseline: np.ndarray
    novelty: NoveltyReference
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        """Refuse arrays on which a walk would leave the tree or never end."""
        check_trees(self.roots, self.nodes, self.leaf_values, len(self.columns.names))

    def predict_proba(self, data: pl.DataFrame) -> np.ndarray:
        """Return class probabilities, float64, shape (n, class)."""
        return self.evaluate(data)[0]

    def evaluate(self, data: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return class probabilities and the imputed features, float32 (n, feature).

        Raises
        ------
        TrainingDataError
            If features the model needs are missing from the frame.
        """
        from scipy.special import softmax

        values = self.columns.values(data)
        sums = mean_of_leaves(values, self.roots, self.nodes, self.leaf_values) * len(self.roots)
        return softmax(self.baseline + sums, axis=1), values


def train_boosting(
    features: pl.DataFrame,
    labels: Iterable[object],
    split: np.ndarray,
    *,
    seed: int = 0,
    rounds: int = 100,
    learning_rate: float = 0.1,
    leaves: int = 31,
    correlation_limit: float | None = 0.95,
    class_balanced: bool = False,
) -> BoostedTrees:
    """Return gradient boosted trees trained on the `train` part; one tree per class and round.

    Parameters
    ----------
    features, labels, split, correlation_limit, class_balanced
        As in `train_forest`.
    leaves
        Most leaves of a tree.

    Notes
    -----
    scikit-learn's histogram boosting, features in 255 bins, no early stopping: the validation part
    chooses nothing.

    Raises
    ------
    TrainingDataError
        If the labels can't train a model (see `checked_parts`) or no feature has values.

    References
    ----------
    Friedman (2001), "Greedy function approximation: a gradient boosting machine".
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    parts = feature_parts(features, labels, split, correlation_limit)
    model = HistGradientBoostingClassifier(
        max_iter=rounds,
        learning_rate=learning_rate,
        max_leaf_nodes=leaves,
        early_stopping=False,
        random_state=seed,
        class_weight="balanced" if class_balanced else None,
    ).fit(parts.train, parts.codes)
    baseline = model._baseline_prediction.ravel().astype(np.float64)
    # Of two classes only the second one is scored.
    scored = list(range(len(baseline))) if len(baseline) > 1 else [1]
    classes = parts.labels.classes
    start = np.zeros(len(classes))
    start[scored] = baseline
    trees = [
        (tree.nodes, scored[index])
        for stage in model._predictors
        for index, tree in enumerate(stage)
    ]
    roots, nodes, leaf_values = _tree_arrays(trees, len(classes))
    return BoostedTrees(
        classes=classes,
        columns=parts.columns,
        roots=roots,
        nodes=nodes,
        leaf_values=leaf_values,
        baseline=start,
        novelty=NoveltyReference.fit(parts.train, parts.codes, parts.validation, diagonal=True),
        settings={
            "rounds": rounds,
            "learning_rate": learning_rate,
            "leaves": leaves,
            "seed": seed,
            "correlation_limit": correlation_limit,
            "class_balanced": class_balanced,
        },
    )


def _tree_arrays(
    trees: Sequence[tuple[np.ndarray, int]], classes: int
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Join scikit-learn's trees, each with the class it scores, into one set of arrays."""
    sizes = np.array([len(nodes) for nodes, _ in trees])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    offsets = np.repeat(roots, sizes)
    joined = np.concatenate([nodes for nodes, _ in trees])
    is_leaf = joined["is_leaf"].astype(bool)
    leaf_values = np.zeros((is_leaf.sum(), classes))
    scored = np.repeat([code for _, code in trees], sizes)[is_leaf]
    leaf_values[np.arange(len(leaf_values)), scored] = joined["value"][is_leaf]
    leaf = np.full(len(joined), -1, dtype=np.int32)
    leaf[is_leaf] = np.arange(len(leaf_values))
    nodes = {
        "feature": joined["feature_idx"].astype(np.int32),
        "threshold": float32_at_or_below(joined["num_threshold"]),
        "left": np.where(is_leaf, -1, joined["left"] + offsets).astype(np.int32),
        "right": np.where(is_leaf, -1, joined["right"] + offsets).astype(np.int32),
        "leaf": leaf,
    }
    return roots, nodes, leaf_values
