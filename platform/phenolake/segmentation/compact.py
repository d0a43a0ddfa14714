"""`compact`: nuclei by the project's own small flow network, shipped with the package."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phenolake.segmentation.blocks import BLOCK_PIXELS, join_blocks
from phenolake.segmentation.brightness import normalize_brightness
from phenolake.segmentation.cells import find_cells
from phenolake.segmentation.channels import Channels
from phenolake.segmentation.compact_network import FLOW_SCALE, UNIT_DIAMETER, fuse_norms
from phenolake.segmentation.compact_scale import resized, scale_for
from phenolake.segmentation.flow_decoder import labels_from_flows
from phenolake.segmentation.foreground import Plane
from phenolake.segmentation.label_images import Labels, areas, renumber
from phenolake.segmentation.nuclei import typical_diameter
from phenolake.segmentation.tiling import run_tiled

if TYPE_CHECKING:
    import torch

#: Looks at the scale of an image at most so often.
_LOOKS = 3
#: Objects with less than this part of the typical area are debris, and none is smaller, pixels.
_SMALLEST_SHARE = 0.03
_MIN_AREA = 12
#: Largest error of an object's flows. Cellpose's 0.4 drops whole large nuclei: their weak flows
#: near the centre count as much as those at the outline.
_FLOW_THRESHOLD = 1.2
#: Edge of a tile and what two tiles share, pixels.
_TILE, _OVERLAP = 1024, 64
#: Tiles in a call.
_BATCH = {"cpu": 1, "cuda": 16}


@dataclass(frozen=True, eq=False)
class CompactSegmenter:
    """Nuclei by the network, cells grown from them over the cell channel.

    `flips` averages the network over the image and its mirror images: four times the time, for
    images where it matters.
    """

    network: torch.nn.Module
    device: str = "cpu"
    flips: bool = False

    @classmethod
    def load(cls, path: Path | None = None, *, flips: bool = False) -> CompactSegmenter:
        """Load a weights file, by default the shipped one, onto the GPU or else the CPU.

        Raises
        ------
        ModelFileError
            If the file holds something else.
        """
        import torch

        from phenolake.segmentation.compact_weights import SHIPPED, read_compact

        network, _ = read_compact(path or SHIPPED)
        return cls.of(network, "cuda" if torch.cuda.is_available() else "cpu", flips=flips)

    @classmethod
    def of(
        cls, network: torch.nn.Module, device: str = "cpu", *, flips: bool = False
    ) -> CompactSegmenter:
        """Take a trained network, which is changed for fast prediction."""
        import torch

        fused = fuse_norms(network).to(device, memory_format=torch.channels_last)
        return cls(fused, device, flips)

    def __call__(
        self, channels: Channels, diameter: float | None, largest: float | None
    ) -> tuple[Labels, Labels | None]:
        """Return nuclei and cells; the nuclear size is taken from the image unless given."""
        return next(self.many([channels], diameter, largest))

    def many(
        self, images: Iterable[Channels], diameter: float | None, largest: float | None
    ) -> Iterator[tuple[Labels, Labels | None]]:
        """Yield nuclei and cells of each image; tiles of different images share batches."""
        bodies: deque[Plane | None] = deque()

        def planes() -> Iterator[Plane]:
            for channels in images:
                bodies.append(channels.cells)
                yield channels.nuclei

        for nuclei in self.find_nuclei_of(planes(), diameter, largest):
            cells = bodies.popleft()
            if cells is None:
                yield nuclei, None
            else:
                size = diameter or typical_diameter(nuclei)
                yield nuclei, find_cells(cells, nuclei, size)

    def find_nuclei(
        self, plane: Plane, diameter: float | None = None, largest: float | None = None
    ) -> Labels:
        """Label the nuclei of one plane, int32 (y, x), 1..n in raster order.

        Parameters
        ----------
        plane
            float32, shape (y, x), finite, any unit.
        diameter
            Typical nuclear diameter, pixels; the network's own estimate if None.
        largest
            Upper bound of the estimate, pixels.
        """
        return next(self.find_nuclei_of([plane], diameter, largest))

    def find_nuclei_of(
        self, planes: Iterable[Plane], diameter: float | None, largest: float | None
    ) -> Iterator[Labels]:
        """Yield what `find_nuclei` returns for each plane."""
        scale = 1.0 if diameter is None else scale_for(diameter)
        waiting: deque[Plane] = deque()

        def small() -> Iterator[Plane]:
            for plane in planes:
                waiting.append(normalize_brightness(plane))
                # A huge image takes part with its middle, which gives away its scale.
                yield _middle(waiting[-1])

        for predicted in self.predict(small(), scale):
            brightness = waiting.popleft()
            if diameter is None:
                own, predicted = self._rescaled(brightness, predicted, largest)
            else:
                own = scale
            if brightness.size <= BLOCK_PIXELS:
                yield decode(predicted, brightness.shape)
            else:
                yield join_blocks(brightness, partial(self._block, scale=own))

    def predict(self, brightness: Iterable[Plane], scale: float = 1.0) -> Iterator[torch.Tensor]:
        """Yield the network's `OUTPUTS` for images scaled by a factor, float32 (4, y, x)."""
        return run_tiled(
            (resized(plane, scale)[None] for plane in brightness),
            self._run,
            tile=_TILE,
            overlap=_OVERLAP,
            batch=_BATCH[self.device],
            multiple=self.network.layout.multiple,
            padding="symmetric",
            device=self.device,
        )

    def _rescaled(
        self, brightness: Plane, predicted: torch.Tensor, largest: float | None
    ) -> tuple[float, torch.Tensor]:
        """Look again at another scale while the nuclei look too small or too large."""
        scale = 1.0
        for _ in range(_LOOKS - 1):
            wanted = scale_for(min(seen_diameter(predicted) / scale, largest or np.inf))
            if 0.8 < wanted / scale < 1.25:
                break
            scale = wanted
            predicted = next(self.predict([_middle(brightness)], scale))
        return scale, predicted

    def _block(self, brightness: Plane, scale: float) -> Labels:
        return decode(next(self.predict([brightness], scale)), brightness.shape)

    def _run(self, tiles: torch.Tensor) -> torch.Tensor:
        import torch

        # Without this, tiles of one image each would run in the slow memory order.
        tiles = tiles.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            out: torch.Tensor = self.network(tiles)
            if not self.flips:
                return out
            for axes in ((-1,), (-2,), (-2, -1)):
                mirrored = self.network(tiles.flip(axes)).flip(axes)
                for axis in axes:
                    mirrored[:, axis + 2] *= -1  # the flow along a mirrored axis
                out = out + mirrored
            return out / 4


def decode(predicted: torch.Tensor, shape: tuple[int, ...]) -> Labels:
    """Label image int32 of the given shape from the network's `OUTPUTS`, scaled to it first."""
    from torch.nn import functional

    if predicted.shape[1:] != tuple(shape):
        predicted = functional.interpolate(predicted[None], size=list(shape), mode="bilinear")[0]
    flows, logits = predicted[:2] / FLOW_SCALE, predicted[2]
    if predicted.device.type == "cpu":
        labels = labels_from_flows(flows.numpy(), logits.numpy(), flow_threshold=_FLOW_THRESHOLD)
    else:
        labels = _decoded_on_device(flows, logits)
    size = areas(labels)
    if size.size > 1:
        smallest = max(_MIN_AREA, _SMALLEST_SHARE * float(np.median(size[1:])))
        labels = np.where((size >= smallest)[labels], labels, 0)
    return renumber(labels)


def _decoded_on_device(flows: torch.Tensor, logits: torch.Tensor) -> Labels:
    """What `labels_from_flows` returns; only labels leave the device."""
    from phenolake.segmentation.flow_tensors import labels_from_flow_tensors

    found = labels_from_flow_tensors(flows[None], logits[None], flow_threshold=_FLOW_THRESHOLD)
    return found[0].cpu().numpy().astype(np.int32, copy=False)


def seen_diameter(predicted: torch.Tensor) -> float:
    """Typical diameter in the scaled image, pixels: the median over pixels inside objects."""
    inside = predicted[2] > 0
    if int(inside.sum()) < _MIN_AREA:
        return UNIT_DIAMETER
    return float(UNIT_DIAMETER * 2 ** predicted[3][inside].median())


def _middle(plane: Plane) -> Plane:
    """The plane, or of a huge one its middle."""
    if plane.size <= BLOCK_PIXELS:
        return plane
    rows, columns = (slice(max(0, n // 2 - 1024), n // 2 + 1024) for n in plane.shape)
    return plane[rows, columns]
