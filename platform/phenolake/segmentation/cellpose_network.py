"""Cellpose's networks without its model class: built empty, filled from a checked file, timed."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phenolake.errors import ModelFileError

if TYPE_CHECKING:
    from torch import Tensor

#: Edge of the tiles that each backbone was trained on, pixels.
TILES = {"sam_vitl": 256, "dino_vitl": 384, "dino_vitb": 384}
_log = logging.getLogger(__name__)


def backbone_of(stored: Mapping[str, tuple[int, ...]]) -> str:
    """Which backbone the shapes of a weights file are for, a key of `TILES`."""
    if "encoder.cls_token" not in stored:
        return "sam_vitl"
    return "dino_vitb" if stored["encoder.cls_token"][-1] == 768 else "dino_vitl"


def empty_network(backbone: str) -> Any:
    """Cellpose's network of that backbone, on the device `meta`: shapes without values.

    Raises
    ------
    ImportError
        If the packages of this backbone are not installed.
    """
    import torch
    from cellpose import vit

    with torch.device("meta"):
        if backbone == "sam_vitl":
            return vit.CPSAM()
        try:
            return vit.CPDINO(model_name=backbone.removeprefix("dino_"))
        except NameError as error:  # Cellpose goes on when this import fails
            raise ImportError("cpdino needs the package `dinov3` of its makers") from error


def load_network(path: Path, backbone: str, device: str) -> Any:
    """The network with the weights of a checked file, in bfloat16 as Cellpose runs it.

    Raises
    ------
    ModelFileError
        If tensors are missing.
    """
    import torch

    network = empty_network(backbone)
    table = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    table = {name.removeprefix("module."): tensor for name, tensor in table.items()}
    for name, tensor in network.state_dict().items():
        # Diameters of the training objects are not used by Cellpose 4; older files lack them.
        if name.startswith("diam_") and name not in table:
            table[name] = torch.full(tensor.shape, 30.0)
    missing = network.load_state_dict(table, strict=False, assign=True).missing_keys
    empty = [name for name, tensor in network.named_buffers() if tensor.is_meta]
    if missing or empty:
        raise ModelFileError(path, f"lacks {[*missing, *empty][0]!r}")
    return network.to(device=device, dtype=torch.bfloat16).eval()


@dataclass(eq=False)
class TimedNetwork:
    """Flows and logits of tiles; without a GPU it times the first tile and says what is to come.

    Attributes
    ----------
    tiles, passes
        Tiles of the image at hand and how often it goes through, for the announcement.
    """

    network: Any
    device: str
    tiles: int = 1
    passes: int = 1
    announced: bool = field(default=False, init=False)

    def __call__(self, tiles: Tensor) -> Tensor:
        """Network output (n, 3, t, t): five times the flows along y and x, and the logit."""
        import torch

        if self.device != "cpu" or self.announced:
            return self._run(tiles)
        self.announced = True
        start = time.perf_counter()
        first = self._run(tiles[:1])
        seconds = time.perf_counter() - start
        runs = self.tiles * self.passes
        _log.warning(
            "Cellpose without a GPU: %s a tile, so about %s for each image of this size (%d tiles). "
            "`compact` and `classical` take seconds.",
            spoken(seconds),
            spoken(seconds * runs),
            runs,
        )
        if len(tiles) == 1:
            return first
        return torch.cat((first, self._run(tiles[1:])))

    def _run(self, tiles: Tensor) -> Tensor:
        weights = next(self.network.parameters())
        output: Tensor = self.network(tiles.to(weights.dtype))[0]
        return output


def spoken(seconds: float) -> str:
    """A duration with one unit: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
