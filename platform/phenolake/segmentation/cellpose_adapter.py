"""Cellpose 4 behind the segmenter interface; needs the `cellpose` extra and local weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from phenolake.segmentation.cellpose_weights import checked_weights
from phenolake.segmentation.channels import Channels
from phenolake.segmentation.label_images import Labels, renumber
from phenolake.segmentation.nuclei import typical_diameter
from phenolake.segmentation.pairing import join_cells


@dataclass(frozen=True, eq=False)
class CellposeSegmenter:
    """Nuclei from the nuclear plane; cells from both planes, joined to the nuclei."""

    network: Any

    @classmethod
    def load(cls, model: str) -> CellposeSegmenter:
        """Load checked weights onto the GPU, or the CPU where there is none.

        Raises
        ------
        CellposeMissingError
            If the package or the weights are missing.
        ModelFileError
            If the file does not fit the network.
        """
        path = checked_weights(model)
        import torch
        from cellpose.models import CellposeModel

        return cls(CellposeModel(gpu=torch.cuda.is_available(), pretrained_model=str(path)))

    def __call__(
        self, channels: Channels, diameter: float | None, largest: float | None
    ) -> tuple[Labels, Labels | None]:
        """Return nuclei and cells; the network finds its own scale unless `diameter` is given."""
        nuclei = self._masks(channels.nuclei[..., None], diameter)
        if channels.cells is None:
            return nuclei, None
        bodies = self._masks(np.stack((channels.cells, channels.nuclei), axis=-1), None)
        return nuclei, join_cells(nuclei, bodies, diameter or typical_diameter(nuclei))

    def _masks(self, image: np.ndarray, diameter: float | None) -> Labels:
        # A constant plane has no contrast to normalize by; Cellpose would divide by zero.
        if float(np.ptp(image)) == 0 or min(image.shape[:2]) < 2:
            return np.zeros(image.shape[:2], np.int32)
        masks = self.network.eval(image, channel_axis=-1, diameter=diameter)[0]
        return renumber(np.asarray(masks).astype(np.int32))
