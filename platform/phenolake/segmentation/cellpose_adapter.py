"""Cellpose 4 behind the segmenter interface: its network, our tiles, batches and decoder."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from phenolake.segmentation.blocks import BLOCK_PIXELS, join_blocks
from phenolake.segmentation.cellpose_network import TILES, TimedNetwork, load_network
from phenolake.segmentation.cellpose_sources import licence_of
from phenolake.segmentation.cellpose_weights import check_tensors, checked_weights
from phenolake.segmentation.channels import Channels
from phenolake.segmentation.flow_decoder import ITERATIONS, labels_from_flows
from phenolake.segmentation.foreground import Plane
from phenolake.segmentation.label_images import Labels, largest_pieces, renumber
from phenolake.segmentation.nuclei import typical_diameter
from phenolake.segmentation.pairing import join_cells
from phenolake.segmentation.tiling import axis_spans, run_tiled

if TYPE_CHECKING:
    from torch import Tensor

#: Cellpose's flows are this many times the steps of the decoder.
_FLOW_SCALE = 5.0
#: Diameter, pixels, to which an image is scaled when its diameter is given.
_DIAMETER = 30.0
#: Images get this many dark pixels on each side and end on a multiple of twice that.
_MARGIN = 8
#: Share of a tile that overlaps the next.
_OVERLAP = 0.1
#: Tiles in a call.
_BATCH = {"cpu": 1, "cuda": 32}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class CellposeSegmenter:
    """Nuclei from the nuclear plane; cells from both planes, joined to the nuclei."""

    network: TimedNetwork
    tile: int = TILES["sam_vitl"]

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
        import torch

        path = checked_weights(model)
        backbone = check_tensors(path)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        _log.info("cellpose:%s on %s; weights %s", model, device, licence_of(model))
        return cls(TimedNetwork(load_network(path, backbone, device), device), TILES[backbone])

    def __call__(
        self, channels: Channels, diameter: float | None, largest: float | None
    ) -> tuple[Labels, Labels | None]:
        """Return nuclei and cells; the network finds its own scale unless `diameter` is given."""
        return next(self.many([channels], diameter, largest))

    def many(
        self, images: Iterable[Channels], diameter: float | None, largest: float | None
    ) -> Iterator[tuple[Labels, Labels | None]]:
        """Yield nuclei and cells of each image; tiles of different images share batches.

        Planes of more than `BLOCK_PIXELS` pixels are worked on in blocks, one after the other.
        """
        for huge, group in groupby(images, lambda channels: channels.nuclei.size > BLOCK_PIXELS):
            have_cells: deque[bool] = deque()
            inputs = self._inputs(group, diameter, have_cells)
            masks = map(self._in_blocks, inputs) if huge else self._masks(inputs)
            for nuclei in masks:
                if not have_cells.popleft():
                    yield nuclei, None
                    continue
                bodies = next(masks)
                yield nuclei, join_cells(nuclei, bodies, diameter or typical_diameter(nuclei))

    def _inputs(
        self, images: Iterable[Channels], diameter: float | None, have_cells: deque[bool]
    ) -> Iterator[_Input]:
        """The nuclear plane of each image, then cell and nuclear planes where there are cells."""
        for channels in images:
            have_cells.append(channels.cells is not None)
            self.network.passes = 1 + have_cells[-1]
            yield _Input.of((channels.nuclei,), diameter)
            if channels.cells is not None:
                yield _Input.of((channels.cells, channels.nuclei), None)

    def _in_blocks(self, image: _Input) -> Labels:
        def find(part: Any) -> Labels:
            return next(self._masks([part]))

        # Blocks need a shape and windows, which an input has as a plane does.
        return join_blocks(cast("Any", image), find)

    def _masks(self, images: Iterable[_Input]) -> Iterator[Labels]:
        """Objects of each image; constant images never reach the network."""
        jobs: deque[_Job] = deque()
        overlap = round(_OVERLAP * self.tile)

        def prepared() -> Iterator[NDArray[np.float32]]:
            for image in images:
                scale = 1.0 if image.diameter is None else _DIAMETER / image.diameter
                jobs.append(_Job(image.shape, scale, self.tile, image.blank))
                if image.blank:
                    continue
                pixels = jobs[-1].prepare(image)
                spans = [axis_spans(n, self.tile, overlap, None) for n in pixels.shape[1:]]
                self.network.tiles = len(spans[0].starts) * len(spans[1].starts)
                yield pixels

        outputs = run_tiled(
            prepared(),
            self.network,
            tile=self.tile,
            overlap=overlap,
            batch=_BATCH[self.network.device],
            padding="constant",
            device=self.network.device,
        )
        for output in outputs:
            while jobs[0].blank:
                yield np.zeros(jobs.popleft().shape, np.int32)
            yield jobs.popleft().decode(output)
        for job in jobs:
            yield np.zeros(job.shape, np.int32)


@dataclass(frozen=True)
class _Input:
    """Planes of one image, or of a part of it, and the image's 1st and 99th percentiles of each."""

    planes: tuple[Plane, ...]
    limits: tuple[tuple[float, float], ...]
    diameter: float | None

    @classmethod
    def of(cls, planes: tuple[Plane, ...], diameter: float | None) -> _Input:
        limits = [np.percentile(plane, (1, 99)) for plane in planes]
        return cls(planes, tuple((float(low), float(high)) for low, high in limits), diameter)

    def __getitem__(self, window: tuple[slice, slice]) -> _Input:
        return _Input(tuple(plane[window] for plane in self.planes), self.limits, self.diameter)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.planes[0].shape

    @property
    def blank(self) -> bool:
        """Whether no plane has contrast, or there is no room for any."""
        return min(self.shape) < 2 or all(float(np.ptp(plane)) == 0 for plane in self.planes)


@dataclass(frozen=True)
class _Job:
    """How one image goes into the network and comes out of it."""

    shape: tuple[int, ...]
    scale: float
    tile: int
    blank: bool

    def prepare(self, image: _Input) -> NDArray[np.float32]:
        """Three planes, each 0 to 1 between its percentiles, scaled, with dark margins."""
        pixels = np.zeros((3, *self.shape), np.float32)
        for number, (plane, (low, high)) in enumerate(zip(image.planes, image.limits, strict=True)):
            if high - low > 1e-3:
                pixels[number] = (plane - low) / (high - low)
        scaled = _resized(pixels, self._scaled())
        return np.pad(scaled, ((0, 0), *self._margins()))

    def decode(self, output: Tensor) -> Labels:
        """Objects of the network's output (3, y, x), on its device until they are labels."""
        import torch
        from torch.nn import functional

        (top, _), (left, _) = self._margins()
        height, width = self._scaled()
        inner = output[:, top : top + height, left : left + width]
        if (height, width) != self.shape:
            inner = functional.interpolate(inner[None], size=list(self.shape), mode="bilinear")[0]
        flows, logits = inner[:2] / _FLOW_SCALE, inner[2]
        steps = max(1, int(ITERATIONS / self.scale))
        if output.device.type == "cpu":
            labels = labels_from_flows(flows.numpy(), logits.numpy(), iterations=steps)
        else:
            from phenolake.segmentation.flow_tensors import labels_from_flow_tensors

            with torch.no_grad():
                labels = labels_from_flow_tensors(flows[None], logits[None], iterations=steps)
            labels = labels[0].cpu().numpy()
        return renumber(largest_pieces(labels))

    def _scaled(self) -> tuple[int, int]:
        height, width = (max(1, int(length * self.scale)) for length in self.shape)
        return height, width

    def _margins(self) -> tuple[tuple[int, int], ...]:
        margins = []
        for length in self._scaled():
            short = self.tile - length - 2 * _MARGIN
            fill = -length % (2 * _MARGIN) if length >= self.tile else max(0, short)
            margins.append((_MARGIN + fill // 2, _MARGIN + fill - fill // 2))
        return tuple(margins)


def _resized(image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    if image.shape[1:] == size:
        return image
    import torch
    from torch.nn import functional

    resized = functional.interpolate(torch.from_numpy(image)[None], size=size, mode="bilinear")
    pixels: NDArray[np.float32] = resized[0].numpy()
    return pixels
