"""Features of a crop's central object as the encoder of the shipped nucleus network sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from phenolake.errors import ModelFileError
from phenolake.modeling.crop_features import central_object, relative_brightness
from phenolake.modeling.networks import torch_device

if TYPE_CHECKING:
    import polars as pl
    import torch

#: First part of the names of these features; no measured feature starts so.
PREFIX = "Encoder_"
# Bright specks beside the object stay visible, but don't dominate.
_BRIGHTEST = 1.5
_ORIENTATIONS = 8
_BATCH = 128
# Parts of the network that are used; its decoder draws outlines and is left out.
_PARTS = ("stem.", "encoder.", "down.")


@dataclass(frozen=True, eq=False)
class NucleusEncoder:
    """The encoder of `compact`: `widths` of its levels, and `state`, its weights by name.

    The weights are kept with every model that uses them, so that a later network changes no
    model that is already stored.
    """

    widths: tuple[int, ...]
    state: dict[str, np.ndarray]

    @classmethod
    def shipped(cls) -> NucleusEncoder:
        """Return the encoder of the network that comes with the package, in half precision."""
        from phenolake.segmentation.compact_weights import SHIPPED, read_compact

        network, _ = read_compact(SHIPPED)
        state = {
            name: value.half().numpy() if value.is_floating_point() else value.numpy()
            for name, value in network.state_dict().items()
            if name.startswith(_PARTS)
        }
        return cls(network.layout.widths, state)

    @cached_property
    def network(self) -> torch.nn.Module:
        """The network for prediction, on a CUDA device if there is one; its decoder is empty.

        Raises
        ------
        ModelFileError
            If the weights don't fit the widths.
        """
        import torch

        from phenolake.segmentation.compact_network import CompactLayout, build_compact, fuse_norms

        network: Any = build_compact(CompactLayout(self.widths))
        for name in ("up", "decoder"):
            setattr(network, name, torch.nn.ModuleList())
        network.head = torch.nn.Identity()
        weights = {
            name: torch.from_numpy(value.astype(np.float32) if value.dtype == np.float16 else value)
            for name, value in self.state.items()
        }
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelFileError("encoder", "its weights do not fit its widths") from error
        return fuse_norms(network).to(torch_device(), memory_format=torch.channels_last)

    def describe(
        self, crops: np.ndarray, channels: Sequence[str] | None = None, object_channel: int = 0
    ) -> pl.DataFrame:
        """Return one row per crop: mean activation of each map within the central object.

        Parameters
        ----------
        crops
            uint8, shape (n, channel, size, size).
        channels
            Names of the channels; by default `Channel0` and so on.
        object_channel
            Channel in which the object is found.

        Notes
        -----
        Every channel is exposed for its own cell, so that gain and offset of the microscope do not
        matter, and shown to the network in all eight orientations, whose activations are averaged.
        The network learned to find nuclei; classes of cells it has never seen.
        """
        import polars as pl

        count, planes = crops.shape[:2]
        names = list(channels) if channels is not None else [f"Channel{i}" for i in range(planes)]
        width = sum(self.widths)
        values = np.zeros((count, planes, width), np.float32)
        for start in range(0, count, _BATCH):
            part = crops[start : start + _BATCH]
            masks = np.stack([central_object(crop[object_channel]) for crop in part])
            shown = [
                relative_brightness(*pair, _BRIGHTEST) for pair in zip(part, masks, strict=True)
            ]
            values[start : start + _BATCH] = self._seen(np.stack(shown), masks)
        levels = [
            f"{PREFIX}Level{level}_{{}}_{index}"
            for level, maps in enumerate(self.widths)
            for index in range(maps)
        ]
        columns = [level.format(name) for name in names for level in levels]
        return pl.DataFrame(
            values.reshape(count, planes * width), schema=dict.fromkeys(columns, pl.Float32)
        )

    def _seen(self, brightness: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Mean activations (n, channel, map) of crops (n, channel, y, x) over eight orientations."""
        import torch
        from torch.nn import functional

        odd = brightness.shape[-1] % 2
        device = next(self.network.parameters()).device
        images, inside = (
            functional.pad(torch.from_numpy(array).to(device), (0, odd, 0, odd), mode="replicate")
            for array in (brightness, masks[:, None].astype(np.float32))
        )
        total = np.zeros((*brightness.shape[:2], sum(self.widths)), np.float32)
        with torch.inference_mode():
            for turn in range(_ORIENTATIONS):
                turned, mask = (_turned(tensor, turn) for tensor in (images, inside))
                for channel in range(images.shape[1]):
                    plane = turned[:, channel : channel + 1]
                    total[:, channel] += self._pooled(plane, mask).cpu().numpy()
        return total / _ORIENTATIONS

    def _pooled(self, plane: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Mean of each map of all levels within the mask, (n, map)."""
        import torch
        from torch.nn import functional

        means = []
        for maps in self.network.levels(plane):
            # A pixel of a coarse map counts by the share of it that the object covers.
            share = functional.adaptive_avg_pool2d(mask, maps.shape[-2:])
            covered = share.sum(dim=(2, 3)).clamp(min=1e-3)
            means.append((maps * share).sum(dim=(2, 3)) / covered)
        return torch.cat(means, dim=1)


def _turned(images: torch.Tensor, turn: int) -> torch.Tensor:
    import torch

    rotated = torch.rot90(images, turn % 4, (-2, -1))
    return rotated.flip(-1) if turn >= 4 else rotated
