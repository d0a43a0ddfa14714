"""Sphering: a linear map after which the controls have unit variance and no correlation.

Variation that controls show is nuisance by definition; sphering shrinks those directions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError, ControlsMissingError, UnknownNameError
from phenolake.profiling.feature_matrix import key_columns, matrix, metadata_columns, with_matrix

_ROWS_AT_ONCE = 1024
KINDS = ("ZCA", "ZCA-cor", "PCA", "PCA-cor")


@dataclass(frozen=True)
class Sphering:
    """A fitted map: y = weights @ (x - centre).

    Attributes
    ----------
    features
        Names of the inputs. The outputs of ZCA keep these names; those of PCA are called
        `PC001`, ...
    centre
        Mean of the controls, float64, shape (feature,).
    weights
        float64, shape (output, feature).
    kind
        `ZCA`, `ZCA-cor`, `PCA` or `PCA-cor`.
    regularization
        Added to every eigenvalue, in units of the mean eigenvalue.

    References
    ----------
    Kessy, Lewin, Strimmer: Optimal whitening and decorrelation, Am. Stat. 72:309 (2018).
    """

    features: tuple[str, ...]
    centre: np.ndarray
    weights: np.ndarray
    kind: str
    regularization: float

    @classmethod
    def fit(
        cls,
        controls: np.ndarray,
        features: list[str],
        kind: str = "ZCA-cor",
        regularization: float = 0.01,
    ) -> Sphering:
        """Learn the map from control wells, float64, shape (feature, well).

        Fewer wells than features are fine: the directions that no control explores have
        eigenvalue 0 and are scaled by the regularization alone.

        Raises
        ------
        UnknownNameError
            If the kind does not exist.
        ControlsMissingError
            If there are fewer than two wells.
        ConfigurationError
            If the regularization is not positive, or nothing varies among the controls.
        """
        if kind not in KINDS:
            raise UnknownNameError("kind of sphering", kind, KINDS)
        if not regularization > 0:
            raise ConfigurationError(
                f"sphering: regularization must be positive, got {regularization}"
            )
        if controls.shape[1] < 2:
            raise ControlsMissingError("sphering", "the profiles", "at least two control wells")
        centre = controls.mean(axis=1)
        centred = controls - centre[:, None]
        # A feature that no control varies has no correlation; it keeps its scale.
        deviation = centred.std(axis=1)
        scale = np.ones_like(deviation)
        if kind.endswith("-cor"):
            np.divide(1, deviation, out=scale, where=deviation > 0)
        inputs = centred * scale[:, None]
        directions, eigenvalues = _principal(inputs)
        mean_eigenvalue = eigenvalues.sum() / len(features)
        if not mean_eigenvalue > 0:
            raise ConfigurationError("sphering: no feature varies among the control wells")
        floor = regularization * mean_eigenvalue
        gain = 1 / np.sqrt(eigenvalues + floor)
        if kind.startswith("ZCA"):
            rest = 1 / np.sqrt(floor)  # gain of the directions outside `directions`
            whitening = (directions * (gain - rest)) @ directions.T
            whitening[np.diag_indices_from(whitening)] += rest
        else:
            # Signs of singular vectors are arbitrary: the largest entry is made positive.
            largest = np.abs(directions).argmax(axis=0)
            sign = np.sign(directions[largest, np.arange(directions.shape[1])])
            whitening = (directions * gain * sign).T
        return cls(tuple(features), centre, whitening * scale, kind, regularization)

    @property
    def outputs(self) -> list[str]:
        """Names of the features that come out."""
        if self.kind.startswith("ZCA"):
            return list(self.features)
        return [f"PC{number:03d}" for number in range(1, len(self.weights) + 1)]

    def transform(self, profiles: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
        """Metadata columns of the profiles, followed by the sphered features.

        Raises
        ------
        UnknownNameError
            If a feature the map was fitted on is missing.
        """
        frame = profiles.lazy().collect()
        values = matrix(frame, key_columns(frame, self.features))
        return self.applied(values, frame.select(metadata_columns(frame)))

    def applied(self, values: np.ndarray, metadata: pl.DataFrame) -> pl.DataFrame:
        """Metadata columns, followed by the sphered features of a (feature, row) matrix.

        The result takes the memory of `values`: fresh memory takes about as long as the product.
        """
        sphered = values[: len(self.weights)]
        for start in range(0, values.shape[1], _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            np.matmul(self.weights, values[:, rows] - self.centre[:, None], out=sphered[:, rows])
        return with_matrix(metadata, self.outputs, sphered)

    def save(self, path: str | Path) -> None:
        """Write the map as a safetensors file."""
        from safetensors.numpy import save_file

        about = {
            "features": json.dumps(self.features),
            "kind": self.kind,
            "regularization": repr(self.regularization),
        }
        arrays = {"centre": self.centre, "weights": np.ascontiguousarray(self.weights)}
        save_file(arrays, path, metadata=about)

    @classmethod
    def load(cls, path: str | Path) -> Sphering:
        """Read a map that `save` wrote."""
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            about = file.metadata()
            return cls(
                tuple(json.loads(about["features"])),
                file.get_tensor("centre"),
                file.get_tensor("weights"),
                about["kind"],
                float(about["regularization"]),
            )


def _principal(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions (feature, k) that the wells explore, and their variances, largest first.

    From the smaller of the two matrices of products, several times faster than an SVD. Directions
    that only rounding errors fill are left out.
    """
    features, wells = inputs.shape
    by_feature = features <= wells
    products = inputs @ inputs.T if by_feature else inputs.T @ inputs
    squares, vectors = np.linalg.eigh(products / wells)
    squares, vectors = squares[::-1], vectors[:, ::-1]
    kept = squares > squares[0] * max(inputs.shape) * np.finfo(np.float64).eps
    squares, vectors = squares[kept], vectors[:, kept]
    return (vectors if by_feature else inputs @ vectors / np.sqrt(squares * wells)), squares
