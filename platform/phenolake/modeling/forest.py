"""Random forests on measured features, kept as plain arrays so that nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from phenolake.errors import ModelFileError, TrainingDataError
from phenolake.modeling.labels import checked_parts, encode_labels
from phenolake.modeling.novelty import NoveltyReference

#: Arrays of a stored forest: one entry per node of all trees, in a row.
NODE_ARRAYS = ("feature", "threshold", "left", "right", "leaf")


@dataclass(frozen=True, eq=False)
class Forest:
    """A trained random forest.

    `medians`: float32 (feature,), stand in for missing values. `roots`: int64 (tree,), first node
    of each tree. `nodes`: arrays named in NODE_ARRAYS, shape (node,). `leaf_values`: float64
    (distinct leaf, class). `importances`: float64 (feature,), mean decrease in impurity, sum 1.
    """

    kind: ClassVar[str] = "forest"
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
        index = np.arange(len(self.nodes["leaf"]))
        inner = self.nodes["leaf"] < 0
        ends = np.append(self.roots[1:], len(index))[
            np.searchsorted(self.roots, index, "right") - 1
        ]
        children = np.stack([self.nodes["left"], self.nodes["right"]])[:, inner]
        sound = (
            (children > index[inner]).all()
            and (children < ends[inner]).all()
            and self.nodes["leaf"].max() < len(self.leaf_values)
            and (self.nodes["feature"][inner] >= 0).all()
            and (self.nodes["feature"][inner] < len(self.features)).all()
        )
        if not sound:
            raise ModelFileError("forest", "its trees are damaged")

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
        from phenolake.modeling.forest_walk import walk_forest

        values = self._values(data)
        arrays = (self.nodes[name] for name in NODE_ARRAYS)
        return walk_forest(values, self.roots, *arrays, self.leaf_values), values

    def _values(self, data: pl.DataFrame) -> np.ndarray:
        absent = [name for name in self.features if name not in data.columns]
        if absent:
            raise TrainingDataError(
                f"{len(absent)} of {len(self.features)} features are missing: "
                f"{', '.join(absent[:5])}"
            )
        return _imputed(_matrix(data, list(self.features)), self.medians)


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

    encoded = encode_labels(labels)
    if features.height != len(encoded.codes):
        raise TrainingDataError(f"{features.height} rows, but {len(encoded.codes)} labels")
    train, validation = checked_parts(encoded, split)
    codes = encoded.codes[train]
    names, medians = _usable_features(features[train])
    values = _imputed(_matrix(features[train], names), medians)
    if correlation_limit is not None:
        kept = uncorrelated(values, correlation_limit)
        names, medians, values = [names[i] for i in kept], medians[kept], values[:, kept]
    model = RandomForestClassifier(
        n_estimators=trees,
        random_state=seed,
        n_jobs=workers,
        class_weight="balanced" if class_balanced else None,
    ).fit(values, codes)
    held_out = _imputed(_matrix(features[validation], names), medians)
    roots, nodes, leaf_values = _tree_arrays([tree.tree_ for tree in model.estimators_])
    return Forest(
        classes=encoded.classes,
        features=tuple(names),
        medians=medians,
        roots=roots,
        nodes=nodes,
        leaf_values=leaf_values,
        importances=model.feature_importances_,
        novelty=NoveltyReference.fit(values, codes, held_out, diagonal=True),
        settings={
            "trees": trees,
            "seed": seed,
            "correlation_limit": correlation_limit,
            "class_balanced": class_balanced,
        },
    )


def uncorrelated(values: np.ndarray, limit: float) -> np.ndarray:
    """Return the columns to keep so that no two correlate above `limit`; the first one stays."""
    spread = values.std(axis=0)
    standard = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
    correlated = np.abs(standard.T @ standard / len(values)) > limit
    kept: list[int] = []
    for column in range(values.shape[1]):
        if not correlated[column, kept].any():
            kept.append(column)
    return np.array(kept, dtype=np.intp)


def feature_columns(frame: pl.DataFrame) -> list[str]:
    """Return the columns that aren't metadata."""
    return [name for name in frame.columns if not name.startswith("Metadata_")]


def _usable_features(train: pl.DataFrame) -> tuple[list[str], np.ndarray]:
    names = feature_columns(train)
    values = _matrix(train, names)
    usable = np.isfinite(values).any(axis=0)
    if not usable.any():
        raise TrainingDataError(
            f"none of {len(names)} feature columns has a value in the training part"
        )
    values = values[:, usable]
    medians = np.nanmedian(np.where(np.isfinite(values), values, np.nan), axis=0)
    return [name for name, keep in zip(names, usable, strict=True) if keep], medians.astype(
        np.float32
    )


def _matrix(frame: pl.DataFrame, names: list[str]) -> np.ndarray:
    wrong = [
        name
        for name in names
        if not (frame[name].dtype.is_numeric() or frame[name].dtype == pl.Boolean)
    ]
    if wrong:
        raise TrainingDataError(
            f"feature columns must be numbers, not text: {', '.join(wrong[:5])}"
        )
    columns = [frame[name].cast(pl.Float32, strict=False).to_numpy() for name in names]
    return np.stack(columns, axis=1) if columns else np.empty((frame.height, 0), dtype=np.float32)


def _imputed(values: np.ndarray, medians: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, medians).astype(np.float32)


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
        "threshold": _float32_at_or_below(np.concatenate([tree.threshold for tree in trees])),
        "left": np.where(is_leaf, -1, left + offsets).astype(np.int32),
        "right": np.where(is_leaf, -1, right + offsets).astype(np.int32),
        "leaf": leaf,
    }
    return roots, nodes, leaf_values


def _float32_at_or_below(values: np.ndarray) -> np.ndarray:
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded).astype(
        np.float32
    )
