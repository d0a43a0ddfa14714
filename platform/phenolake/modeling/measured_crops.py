"""Crops classified by the features of the object in their middle: a stage-wise model for images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from phenolake.errors import TrainingDataError
from phenolake.modeling.crop_features import measure_crops
from phenolake.modeling.joint_novelty import JointNovelty
from phenolake.modeling.neighbour_novelty import NeighbourNovelty
from phenolake.modeling.novelty import NoveltyReference
from phenolake.modeling.nucleus_encoder import PREFIX, NucleusEncoder
from phenolake.modeling.trained_network import as_crops

if TYPE_CHECKING:
    import polars as pl

    from phenolake.modeling.model_parts import Model


#: Name of the view that the encoder gives.
ENCODER_VIEW = "encoder"


@dataclass(frozen=True, eq=False)
class MeasuredCrops:
    """A model on features, with the measuring of crops before it.

    `shape`: channels, height and width of a crop. `full_scale`: pixel value that becomes 255; see
    `as_uint8`. `encoder`: gives features beside the measured ones; models stored before there was
    one have none.
    """

    kind: ClassVar[str] = "measured_crops"
    takes: ClassVar[str] = "crops"
    model: Model
    shape: tuple[int, int, int]
    full_scale: float | None = None
    encoder: NucleusEncoder | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the probabilities."""
        return self.model.classes

    @property
    def novelty(self) -> NoveltyReference | NeighbourNovelty | JointNovelty:
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
        return features_of_crops(crops, self.encoder)


def features_of_crops(crops: np.ndarray, encoder: NucleusEncoder | None = None) -> pl.DataFrame:
    """Return measured features of uint8 crops, and beside them what an encoder sees, one row each."""
    measured = measure_crops(crops)
    return measured if encoder is None else measured.hstack(encoder.describe(crops))


def views_of_features(features: pl.DataFrame) -> dict[str, list[str]]:
    """Return the columns of each view that has any: `measured` and `encoder`."""
    seen = [name for name in features.columns if name.startswith(PREFIX)]
    views = {"measured": [name for name in features.columns if not name.startswith(PREFIX)]}
    return {**views, ENCODER_VIEW: seen} if seen else views
