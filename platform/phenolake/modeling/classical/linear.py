"""Linear classifiers on features: Fisher's discriminant, logistic regression, support vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import polars as pl

from phenolake.errors import TrainingDataError, UnknownNameError
from phenolake.modeling.classical.feature_matrix import FeatureColumns, feature_parts
from phenolake.modeling.classical.scaling import Scale, Scaling
from phenolake.modeling.novelty import NoveltyReference

Method = Literal["lda", "logistic", "svm"]


@dataclass(frozen=True, eq=False)
class LinearClassifier:
    """A trained linear classifier; probabilities are the softmax of its class scores.

    `columns`, `scaling`: how a frame becomes numbers. `weights`: float64 (feature, class).
    `offsets`: float64 (class,). `axes`: float32 (feature, axis), the discriminant axes in which
    novelty is measured.
    """

    kind: ClassVar[str] = "linear"
    takes: ClassVar[str] = "features"
    classes: tuple[str, ...]
    columns: FeatureColumns
    scaling: Scaling
    weights: np.ndarray
    offsets: np.ndarray
    axes: np.ndarray
    novelty: NoveltyReference
    settings: dict[str, Any]

    def predict_proba(self, data: pl.DataFrame) -> np.ndarray:
        """Return class probabilities, float64, shape (n, class)."""
        return self.evaluate(data)[0]

    def evaluate(self, data: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return class probabilities and the cells on the discriminant axes, float32 (n, axis).

        Raises
        ------
        TrainingDataError
            If features the model needs are missing from the frame.
        """
        from scipy.special import softmax

        values = self.scaling.apply(self.columns.values(data))
        return softmax(values @ self.weights + self.offsets, axis=1), values @ self.axes


def train_linear(
    features: pl.DataFrame,
    labels: Iterable[object],
    split: np.ndarray,
    *,
    method: Method = "lda",
    cost: float = 1.0,
    scale: Scale = "ranks",
    correlation_limit: float | None = 0.95,
    class_balanced: bool = False,
    novelty_components: int | None = None,
    seed: int = 0,
) -> LinearClassifier:
    """Return a linear classifier trained on the `train` part.

    Parameters
    ----------
    features
        Columns without the `Metadata_` prefix are the features; gaps become the median.
    labels, split
        Class and part (`train`, `validation`) of each row.
    method
        `lda`: Fisher's discriminant with a Ledoit-Wolf shrunk covariance. `logistic`: multinomial
        logistic regression. `svm`: linear support vectors, one class against the others.
    cost
        Weight of errors against the size of the weights; `lda` has none.
    scale
        `standard`: mean 0 and SD 1 over the training cells. `ranks`: normal scores, which long
        tails and other units don't change.
    correlation_limit
        Drop a feature whose absolute Pearson correlation with an earlier kept one is above this.
    class_balanced
        Count classes the same: equal priors (`lda`) or weights.
    novelty_components
        Look for the axes of novelty among so many principal components of the features; by default
        among all features.

    Notes
    -----
    Scores of support vectors are no log odds; calibrate them before reading them as probabilities.

    Raises
    ------
    TrainingDataError
        If the labels can't train a model (see `checked_parts`), no feature has values, or none
        tells the classes apart.
    UnknownNameError
        If there is no such method.

    References
    ----------
    Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices".
    """
    if method not in _FITS:
        raise UnknownNameError("linear method", method, get_args(Method))
    parts = feature_parts(features, labels, split, correlation_limit)
    scaling = Scaling.fit(parts.train, scale)
    train, validation = scaling.apply(parts.train), scaling.apply(parts.validation)
    weights, offsets = _FITS[method](train, parts.codes, cost, class_balanced, seed)
    axes = discriminant_axes(train, parts.codes, novelty_components)
    if not axes.shape[1]:
        raise TrainingDataError(
            "no feature differs between the classes and varies within them; are the cells empty, or "
            "copies of each other?"
        )
    return LinearClassifier(
        classes=parts.labels.classes,
        columns=parts.columns,
        scaling=scaling,
        weights=weights,
        offsets=offsets,
        axes=axes,
        novelty=NoveltyReference.fit(train @ axes, parts.codes, validation @ axes),
        settings={
            "method": method,
            "cost": cost,
            "scale": scale,
            "correlation_limit": correlation_limit,
            "class_balanced": class_balanced,
            "novelty_components": novelty_components,
            "seed": seed,
        },
    )


def discriminant_axes(
    values: np.ndarray, codes: np.ndarray, components: int | None = None
) -> np.ndarray:
    """Return the axes that span the class centres once cells are whitened within classes.

    Float32, shape (feature, at most class - 1); the covariance is shrunk after Ledoit and Wolf.
    With `components` the axes lie within so many principal components of the values. Directions in
    which cells hardly vary can tell known classes apart, but new kinds rarely lie there.
    """
    if components is not None and components < values.shape[1]:
        within = _principal_axes(values, components)
        return within @ discriminant_axes(values @ within, codes)
    centres = class_centres(values, codes)
    whitening = _inverse_root(_within_class_covariance(values, codes, centres))
    spread = (centres - centres.mean(axis=0)) @ whitening
    _, lengths, directions = np.linalg.svd(spread, full_matrices=False)
    kept = lengths > lengths.max() * 1e-6
    return (whitening @ directions[kept].T).astype(np.float32)


def class_centres(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the mean of each class, float64, shape (class, feature)."""
    return np.stack(
        [values[codes == code].mean(axis=0, dtype=np.float64) for code in range(codes.max() + 1)]
    )


def _principal_axes(values: np.ndarray, count: int) -> np.ndarray:
    """The directions of largest variance, float32 (feature, count)."""
    from scipy.linalg import eigh

    width = values.shape[1]
    covariance = np.cov(values, rowvar=False, dtype=np.float64)
    _, vectors = eigh(covariance, subset_by_index=(width - count, width - 1))
    return vectors.astype(np.float32)


def _within_class_covariance(
    values: np.ndarray, codes: np.ndarray, centres: np.ndarray
) -> np.ndarray:
    from sklearn.covariance import ledoit_wolf

    return ledoit_wolf(values - centres[codes], assume_centered=True)[0]


def _inverse_root(covariance: np.ndarray) -> np.ndarray:
    """Symmetric inverse square root; directions without spread count for nothing."""
    values, vectors = np.linalg.eigh(covariance)
    usable = values > values.max() * 1e-9
    roots = np.where(usable, 1 / np.sqrt(np.where(usable, values, 1.0)), 0.0)
    return (vectors * roots) @ vectors.T


def _fit_discriminant(
    values: np.ndarray, codes: np.ndarray, cost: float, class_balanced: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    centres = class_centres(values, codes)
    root = _inverse_root(_within_class_covariance(values, codes, centres))
    weights = root @ root @ centres.T
    shares = np.bincount(codes) / len(codes)
    priors = np.full(len(shares), 1 / len(shares)) if class_balanced else shares
    return weights, np.log(priors) - 0.5 * (centres * weights.T).sum(axis=1)


def _fit_logistic(
    values: np.ndarray, codes: np.ndarray, cost: float, class_balanced: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=cost, max_iter=1000, class_weight="balanced" if class_balanced else None
    ).fit(values, codes)
    return _both_classes(model.coef_, model.intercept_)


def _fit_support_vectors(
    values: np.ndarray, codes: np.ndarray, cost: float, class_balanced: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.svm import LinearSVC

    model = LinearSVC(
        C=cost,
        dual="auto",
        max_iter=5000,
        random_state=seed,
        class_weight="balanced" if class_balanced else None,
    ).fit(values, codes)
    return _both_classes(model.coef_, model.intercept_)


def _both_classes(rows: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (feature, class); of two classes scikit-learn keeps the second one's only."""
    if len(rows) == 1:
        rows, offsets = np.concatenate([0 * rows, rows]), np.concatenate([0 * offsets, offsets])
    return rows.T.astype(np.float64), offsets.astype(np.float64)


_Fit = Callable[[np.ndarray, np.ndarray, float, bool, int], tuple[np.ndarray, np.ndarray]]
_FITS: dict[str, _Fit] = {
    "lda": _fit_discriminant,
    "logistic": _fit_logistic,
    "svm": _fit_support_vectors,
}
