"""A trained convolutional network: weights as arrays, and what is needed to apply them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from phenolake.errors import ModelFileError, TrainingDataError
from phenolake.modeling.crops import as_uint8
from phenolake.modeling.networks import Layout, build_network, torch_device
from phenolake.modeling.novelty import NoveltyReference

if TYPE_CHECKING:
    import torch

_PART = 4096


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network that classifies crops.

    `state`: weights by name. `mean`, `sd`: float32 (channel,) or (channel, size, size), of the
    training crops in 8-bit units. `history`: one row of curves per epoch. `full_scale`: pixel value
    that became 255; see `as_uint8`.
    """

    kind: ClassVar[str] = "network"
    takes: ClassVar[str] = "crops"
    architecture: Layout
    classes: tuple[str, ...]
    state: dict[str, np.ndarray]
    mean: np.ndarray
    sd: np.ndarray
    novelty: NoveltyReference
    history: list[dict[str, float]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    full_scale: float | None = None

    @cached_property
    def network(self) -> torch.nn.Sequential:
        """The network in evaluation mode, on a CUDA device if there is one.

        Raises
        ------
        ModelFileError
            If the weights don't fit the architecture.
        """
        import torch

        # On the meta device a layout costs no memory, whatever sizes a file asks for, and no draws.
        with torch.device("meta"):
            network = build_network(self.architecture)
        return with_weights(network, self.state)

    def predict_proba(self, data: np.ndarray) -> np.ndarray:
        """Return class probabilities of crops, float32, shape (n, class)."""
        return self.evaluate(data)[0]

    def evaluate(self, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return class probabilities and the last hidden layer, float32 (n, unit).

        Parameters
        ----------
        data
            uint8, uint16 or float in 0..1; shape (n, channel, size, size), or (n, size, size).

        Raises
        ------
        TrainingDataError
            If the shape is not the one the network was trained on, or pixels are not usable.
        """
        crops = fitting_crops(data, self.architecture, self.full_scale)
        return forward(self.network, crops, self.mean, self.sd)

    def embed(self, data: np.ndarray) -> np.ndarray:
        """Return the last hidden layer of crops, float32 (n, unit); see `evaluate`."""
        return self.evaluate(data)[1]


def with_weights(network: torch.nn.Module, state: dict[str, np.ndarray]) -> Any:
    """Return a network that was built on the meta device with its weights, ready to be applied.

    Raises
    ------
    ModelFileError
        If the weights don't fit.
    """
    import torch

    weights = {name: torch.from_numpy(value) for name, value in state.items()}
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise ModelFileError("network", "its weights do not fit its architecture") from error
    return network.to(torch_device()).eval()


def as_crops(images: np.ndarray, full_scale: float | None = None) -> np.ndarray:
    """Return images as uint8 crops, shape (n, channel, size, size).

    Raises
    ------
    TrainingDataError
        If the images are not square windows (n, channel, y, x) or (n, y, x), or not usable pixels.
    """
    images = np.asarray(images)
    crops = images[:, np.newaxis] if images.ndim == 3 else images
    if crops.ndim != 4 or crops.shape[2] != crops.shape[3]:
        raise TrainingDataError(
            f"expected square crops (n, channel, y, x) or (n, y, x), got {images.shape}"
        )
    if crops.dtype.kind == "f" and not np.isfinite(crops.sum()):
        bad = ~np.isfinite(crops)
        if bad.any():
            first = int(bad.any(axis=(1, 2, 3)).argmax())
            raise TrainingDataError(
                f"{np.count_nonzero(bad)} pixels are NaN or infinite, the first in crop {first} "
                "(counted from 0); leave such crops out"
            )
    return as_uint8(crops, full_scale)


def fitting_crops(images: np.ndarray, layout: Layout, full_scale: float | None) -> np.ndarray:
    """Return images as uint8 crops of a network's channels and size.

    Raises
    ------
    TrainingDataError
        If they have another shape, or not usable pixels.
    """
    crops = as_crops(images, full_scale)
    expected = (layout.channels, layout.size, layout.size)
    if crops.shape[1:] != expected:
        raise TrainingDataError(
            f"the model takes crops of (channel, y, x) = {expected}, got {crops.shape[1:]}"
        )
    return crops


def channel_statistics(
    crops: np.ndarray, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and SD (n - 1) of each channel, float32, shape (channel,), in 8-bit units.

    The SD is at least 1 / sqrt(number of crops), so that an empty channel divides by no zero. Only
    `rows`, numbers of crops, are looked at where given; they are read a part at a time.
    """
    levels = np.arange(256, dtype=np.float64)
    rows = np.arange(len(crops)) if rows is None else rows
    counts = np.zeros((crops.shape[1], 256))
    for start in range(0, len(rows), _PART):
        part = crops[rows[start : start + _PART]]
        for channel, count in enumerate(counts):
            count += np.bincount(part[:, channel].ravel(), minlength=256)
    pixels = counts.sum(axis=1)
    mean = counts @ levels / pixels
    squares = (counts * (levels - mean[:, None]) ** 2).sum(axis=1)
    sd = np.maximum(np.sqrt(squares / np.maximum(pixels - 1, 1)), 1 / np.sqrt(len(rows)))
    return mean.astype(np.float32), sd.astype(np.float32)


def pixel_statistics(crops: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and SD (n - 1) of each pixel of some crops, float32, (channel, size, size).

    The SD is at least 1 / sqrt(number of crops).

    References
    ----------
    Leuchowius (2017), who takes these rather than one value per channel.
    """
    total, squares = np.zeros((2, *crops.shape[1:]))
    for start in range(0, len(rows), _PART):
        part = crops[rows[start : start + _PART]].astype(np.float64)
        total += part.sum(axis=0)
        squares += np.square(part).sum(axis=0)
    mean = total / len(rows)
    spread = np.maximum(squares - len(rows) * mean**2, 0) / max(len(rows) - 1, 1)
    sd = np.maximum(np.sqrt(spread), 1 / np.sqrt(len(rows)))
    return mean.astype(np.float32), sd.astype(np.float32)


def standardize(crops: torch.Tensor, mean: np.ndarray, sd: np.ndarray) -> torch.Tensor:
    """Return float32 crops with the means of channels or pixels taken off, divided by the SDs."""
    import torch

    offset, scale = (
        torch.from_numpy(part.reshape(*part.shape, *[1] * (3 - part.ndim))).to(crops.device)
        for part in (mean, sd)
    )
    return (crops.float() - offset) / scale


def forward(
    network: torch.nn.Sequential,
    crops: np.ndarray | torch.Tensor,
    mean: np.ndarray,
    sd: np.ndarray,
    batch_size: int = 1024,
) -> tuple[np.ndarray, np.ndarray]:
    """Return class probabilities and last hidden layer of uint8 crops, both float32."""
    import torch

    tensor = (
        torch.from_numpy(np.ascontiguousarray(crops)) if isinstance(crops, np.ndarray) else crops
    )
    # An empty batch still goes through, so that the results have their widths.
    return forward_batches(network, tensor.split(batch_size), mean, sd)


def forward_batches(
    network: torch.nn.Sequential, batches: Iterable[torch.Tensor], mean: np.ndarray, sd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return class probabilities and last hidden layer of uint8 crops, a batch at a time."""
    import torch

    device = next(network.parameters()).device
    probabilities, hidden = [], []
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        for batch in batches:
            embedding = network.body(standardize(batch.to(device), mean, sd))
            probabilities.append(network.output(embedding).softmax(dim=1).cpu())
            hidden.append(embedding.cpu())
    network.train(was_training)
    return torch.cat(probabilities).numpy(), torch.cat(hidden).numpy()
