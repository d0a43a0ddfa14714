"""A network that was trained without labels and turns crops into embeddings."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from phenolake.modeling.networks import Layout, build_network
from phenolake.modeling.trained_network import fitting_crops, standardize, with_weights

if TYPE_CHECKING:
    import torch

_BATCH = 1024


@dataclass(frozen=True, eq=False)
class Encoder:
    """The body of a network, as arrays, and what is needed to apply it; see `TrainedNetwork`."""

    kind: ClassVar[str] = "encoder"
    architecture: Layout
    state: dict[str, np.ndarray]
    mean: np.ndarray
    sd: np.ndarray
    history: list[dict[str, float]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    full_scale: float | None = None

    @cached_property
    def network(self) -> torch.nn.Module:
        """The body in evaluation mode, on a CUDA device if there is one.

        Raises
        ------
        ModelFileError
            If the weights don't fit the architecture.
        """
        import torch

        with torch.device("meta"):
            body = build_network(self.architecture).body
        return with_weights(body, self.state)

    def embed(self, data: np.ndarray) -> np.ndarray:
        """Return embeddings of crops, float32 (n, unit).

        Raises
        ------
        TrainingDataError
            If the shape is not the one the network was trained on, or pixels are not usable.
        """
        import torch

        crops = torch.from_numpy(fitting_crops(data, self.architecture, self.full_scale))
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            parts = [
                self.network(standardize(batch.to(device), self.mean, self.sd)).cpu()
                for batch in crops.split(_BATCH)
            ]
        return torch.cat(parts).numpy()
