"""Random forests on features, kept as plain arrays so that nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Iterable
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
class Forest:
    """A trained random forest.

    `medians`: float32 (feature,), stand in for missing values. `roots`: int64 (tree,), first node
    of each tree. `nodes`: arrays named in NODE_ARRAYS, shape (node,). `leaf_values`: float64
    (distinct leaf, class). `importances`: float64 (feature,), mean decrease in impurity, sum 1.
    """

    kind: ClassVar[str] = "forest"
    takes: ClassVar[str] = "features"
    classes: tuple[str, ...]
    features: tuple[str, ...]
    medians: np.ndarray
    roots: np.ndarray
    nodes: dict[str, np.ndarray]
    leaf_values: np.ndarray
    importances: np.ndarray
    novelty: NoveltyReference
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        """Refuse arrays on which a walk would leave the tree or never end."""
        check_trees(self.roots, self.nodes, self.leaf_values, len(self.features))

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
        values = FeatureColumns(self.features, self.medians).values(data)
        return mean_of_leaves(values, self.roots, self.nodes, self.leaf_values), values


def train_forest(
    features: pl.DataFrame,
    labels: Iterable[object],
    split: np.ndarray,
    *,
    seed: int = 0,
    trees: int = 500,
    correlation_limit: float | None = None,
    class_balanced: bool = False,
    workers: int = 1,
) -> Forest:
    """Return a random forest trained on the `train` part.

    Parameters
    ----------
    features
        Columns without the `Metadata_` prefix are the features. Missing and infinite values become
        the feature's median over the training part; a feature with no value there is dropped.
    labels, split
        Class and part (`train`, `validation`) of each row.
    correlation_limit
        Drop a feature whose absolute Pearson correlation with an earlier kept one is above this.
    class_balanced
        Weight cells so that classes count the same.

    Notes
    -----
    scikit-learn's defaults otherwise: unlimited depth, sqrt(features) tried per split. Thresholds
    are stored as float32 rounded down, which leaves every decision on float32 features the same.

    Raises
    ------
    TrainingDataError
        If the labels can't train a model (see `checked_parts`) or no feature has values.

    References
    ----------
    Breiman (2001), "Random forests".
    """
    from sklearn.ensemble import RandomForestClassifier

    parts = feature_parts(features, labels, split, correlation_limit)
    model = RandomForestClassifier(
        n_estimators=trees,
        random_state=seed,
        n_jobs=workers,
        class_weight="balanced" if class_balanced else None,
    ).fit(parts.train, parts.codes)
    roots, nodes, leaf_values = _tree_arrays([tree.tree_ for tree in model.estimators_])
    return Forest(
        classes=parts.labels.classes,
        features=parts.columns.names,
        medians=parts.columns.medians,
        roots=roots,
        nodes=nodes,
        leaf_values=leaf_values,
        importances=model.feature_importances_,
        novelty=NoveltyReference.fit(parts.train, parts.codes, parts.validation, diagonal=True),
        settings={
            "trees": trees,
            "seed": seed,
            "correlation_limit": correlation_limit,
            "class_balanced": class_balanced,
        },
    )


def _tree_arrays(trees: list[Any]) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Join scikit-learn trees into one set of arrays; equal leaf distributions are stored once."""
    sizes = np.array([tree.node_count for tree in trees])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    offsets = np.repeat(roots, sizes)
    left = np.concatenate([tree.children_left for tree in trees])
    right = np.concatenate([tree.children_right for tree in trees])
    is_leaf = left < 0
    values = np.concatenate([tree.value[:, 0, :] for tree in trees])[is_leaf]
    leaf_values, row = np.unique(values, axis=0, return_inverse=True)
    leaf = np.full(len(left), -1, dtype=np.int32)
    leaf[is_leaf] = row
    nodes = {
        "feature": np.concatenate([tree.feature for tree in trees]).astype(np.int32),
        "threshold": float32_at_or_below(np.concatenate([tree.threshold for tree in trees])),
        "left": np.where(is_leaf, -1, left + offsets).astype(np.int32),
        "right": np.where(is_leaf, -1, right + offsets).astype(np.int32),
        "leaf": leaf,
    }
    return roots, nodes, leaf_values
