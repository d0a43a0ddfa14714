"""Crops classified by the features of the object in their middle: a stage-wise model for images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from phenolake.errors import TrainingDataError
from phenolake.modeling.crop_features import measure_crops
from phenolake.modeling.neighbour_novelty import NeighbourNovelty
from phenolake.modeling.novelty import NoveltyReference
from phenolake.modeling.trained_network import as_crops

if TYPE_CHECKING:
    import polars as pl

    from phenolake.modeling.model_parts import Model


@dataclass(frozen=True, eq=False)
class MeasuredCrops:
    """A model on features, with the measuring of crops before it.

    `shape`: channels, height and width of a crop. `full_scale`: pixel value that becomes 255; see
    `as_uint8`.
    """

    kind: ClassVar[str] = "measured_crops"
    takes: ClassVar[str] = "crops"
    model: Model
    shape: tuple[int, int, int]
    full_scale: float | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the probabilities."""
        return self.model.classes

    @property
    def novelty(self) -> NoveltyReference | NeighbourNovelty:
        """The reference of the model on features."""
        return self.model.novelty

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the model on features, and the measuring."""
        return {**self.model.settings, "measured": True}

    @property
    def unknown_above(self) -> float | None:
        """Novelty above which a cell is called unknown, if the model on features has one."""
        return getattr(self.model, "unknown_above", None)

    def predict_proba(self, data: np.ndarray) -> np.ndarray:
        """Return class probabilities of crops, shape (n, class)."""
        return self.evaluate(data)[0]

    def evaluate(self, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return class probabilities and the embedding of the model on features.

        Parameters
        ----------
        data
            uint8, uint16 or float in 0..1; shape (n, channel, size, size), or (n, size, size).

        Raises
        ------
        TrainingDataError
            If the crops are not of the channels and size that were trained on.
        """
        said: tuple[np.ndarray, np.ndarray] = self.model.evaluate(self.measure(data))  # type: ignore[arg-type]
        return said

    def measure(self, data: np.ndarray) -> pl.DataFrame:
        """Return the features of crops, one row each."""
        crops = as_crops(data, self.full_scale)
        if crops.shape[1:] != self.shape:
            raise TrainingDataError(
                f"the model takes crops of (channel, y, x) = {self.shape}, got {crops.shape[1:]}"
            )
        return measure_crops(crops)
