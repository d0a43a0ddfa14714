"""Run a network over images of any size: overlapping tiles, batches that pool tiles of many images."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phenolake.errors import ChannelError, ConfigurationError, DeviceMemoryError

if TYPE_CHECKING:
    from torch import Tensor

_log = logging.getLogger(__name__)


def run_tiled(
    planes: Iterable[NDArray[np.float32]],
    network: Callable[[Tensor], Tensor],
    *,
    tile: int,
    overlap: int,
    batch: int,
    multiple: int | None = None,
    padding: str = "reflect",
    device: str = "cpu",
) -> Iterator[Tensor]:
    """Yield the network's output for each image in turn, float32 (k, y, x), on the device.

    Tiles of several images share a batch, so small images fill a GPU as large ones do. Where tiles
    overlap, outputs are averaged with weights that fall to the tile's edge. An image is read when
    the batch needs its tiles, and no more than `batch` + 1 images are in work; what is held is
    4 k bytes for each of their pixels, the image being read, and one batch.

    Parameters
    ----------
    planes
        Float images (c, y, x); sizes may differ, c may not.
    network
        Maps a float32 tensor (n, c, t, u) on the device to (n, k, t, u).
    tile, overlap
        Edge of a tile and least overlap of two, pixels.
    batch
        Tiles in a call. Where the device has no memory for them it is halved, from there on.
    multiple
        None keeps every tile `tile` x `tile`. Else tiles get no larger than an image needs: their
        sides are multiples of this, at most `tile`. Batches then pool images of one size.
    padding
        Mode of `numpy.pad` where an image is smaller than a tile.
    device
        Where tiles go and results stay.

    Raises
    ------
    ConfigurationError
        If the overlap does not leave tiles room to advance, or sizes are no multiples.
    ChannelError
        If an image is not (c, y, x) or has other channels than the first.
    DeviceMemoryError
        If a single tile is too large for the device.
    """
    if not 0 <= overlap < tile or batch < 1 or (multiple is not None and tile % multiple):
        raise ConfigurationError(
            f"tiles of {tile} can't overlap by {overlap} in batches of {batch}"
            + (f" at multiples of {multiple}" if multiple else "")
        )
    run = _Runner(network, batch, device)
    waiting: deque[_Canvas] = deque()
    channels = None
    for number, image in enumerate(planes):
        image = np.asarray(image, np.float32)
        if image.ndim != 3 or 0 in image.shape or image.shape[0] != (channels or image.shape[0]):
            raise ChannelError(
                f"image {number}: expected ({channels or 'c'}, y, x) with pixels, "
                f"got shape {image.shape}"
            )
        channels = image.shape[0]
        spans = [axis_spans(length, tile, overlap, multiple) for length in image.shape[1:]]
        canvas = _Canvas(image.shape[1:], spans[0], spans[1])
        waiting.append(canvas)
        for row in range(len(spans[0].starts)):
            for column in range(len(spans[1].starts)):
                run.add(canvas, row, column, canvas.cut(image, row, column, padding))
                yield from _finished(waiting)
        del image
    run.flush()
    yield from _finished(waiting)


@dataclass(frozen=True)
class Spans:
    """Where tiles lie along one axis, and the weight of each of their pixels."""

    starts: list[int]
    size: int
    weights: list[NDArray[np.float32]]
    total: NDArray[np.float32]


def axis_spans(length: int, tile: int, overlap: int, multiple: int | None) -> Spans:
    """Evenly spread tiles that cover `length` pixels and overlap by `overlap` or more.

    Weights rise as a squared sine over the overlap, but not at the ends of the image, where no
    other tile helps; `total` is their sum at each pixel.
    """
    count = 1 if length <= tile else -(-(length - overlap) // (tile - overlap))
    size = tile
    if multiple is not None:
        needed = -(-(length + (count - 1) * overlap) // count)
        size = min(tile, -(-needed // multiple) * multiple)
    starts = np.linspace(0, max(length - size, 0), count).round().astype(int)
    ramp = np.sin(np.pi / 2 * (np.arange(overlap) + 0.5) / max(overlap, 1)) ** 2
    total = np.zeros(max(length, size))
    weights = []
    for index, start in enumerate(starts):
        weight = np.ones(size)
        if index > 0:
            weight[:overlap] = ramp
        if index < count - 1:
            weight[size - overlap :] *= ramp[::-1]
        total[start : start + size] += weight
        weights.append(weight.astype(np.float32))
    return Spans(starts.tolist(), size, weights, total[:length].astype(np.float32))


@dataclass(eq=False)
class _Canvas:
    """The output of one image while its tiles come in."""

    shape: tuple[int, ...]
    rows: Spans
    columns: Spans
    output: Tensor | None = None
    missing: int = field(init=False)

    def __post_init__(self) -> None:
        self.missing = len(self.rows.starts) * len(self.columns.starts)

    def cut(
        self, image: NDArray[np.float32], row: int, column: int, padding: str
    ) -> NDArray[np.float32]:
        """Pixels of one tile, (c, t, u); padded where the image ends."""
        top, left = self.rows.starts[row], self.columns.starts[column]
        part = image[:, top : top + self.rows.size, left : left + self.columns.size]
        lacking = (self.rows.size - part.shape[1], self.columns.size - part.shape[2])
        if not any(lacking):
            return part
        return np.pad(part, ((0, 0), (0, lacking[0]), (0, lacking[1])), mode=padding)  # type: ignore[call-overload]

    def paste(self, row: int, column: int, result: Tensor) -> None:
        """Add the network's output for one tile; the last one divides by the weights."""
        import torch

        top, left = self.rows.starts[row], self.columns.starts[column]
        if self.output is None:
            self.output = result.new_zeros((result.shape[0], *self.shape))
        here = self.output[:, top : top + self.rows.size, left : left + self.columns.size]
        height, width = here.shape[1:]
        down = torch.from_numpy(self.rows.weights[row][:height]).to(result.device)
        right = torch.from_numpy(self.columns.weights[column][:width]).to(result.device)
        here += result[:, :height, :width] * down[:, None] * right
        self.missing -= 1
        if self.missing == 0 and len(self.rows.starts) * len(self.columns.starts) > 1:
            self.output /= torch.from_numpy(self.rows.total).to(result.device)[:, None]
            self.output /= torch.from_numpy(self.columns.total).to(result.device)


def _finished(waiting: deque[_Canvas]) -> Iterator[Tensor]:
    while waiting and waiting[0].missing == 0:
        output = waiting.popleft().output
        assert output is not None
        yield output


class _Runner:
    """Collects tiles of one shape and runs the network on full batches."""

    def __init__(self, network: Callable[[Tensor], Tensor], batch: int, device: str) -> None:
        self.network = network
        self.batch = batch
        self.device = device
        self.tiles: list[NDArray[np.float32]] = []
        self.places: list[tuple[_Canvas, int, int]] = []

    def add(self, canvas: _Canvas, row: int, column: int, tile: NDArray[np.float32]) -> None:
        """Queue a tile; run what is queued when the batch is full or the shape changes."""
        if self.tiles and self.tiles[0].shape != tile.shape:
            self.flush()
        # A copy: the queue must not keep the whole image alive.
        self.tiles.append(np.array(tile))
        self.places.append((canvas, row, column))
        if len(self.tiles) >= self.batch:
            self.flush()

    def flush(self) -> None:
        """Run the network on all that is queued and paste the results."""
        import torch

        while self.tiles:
            now = min(self.batch, len(self.tiles))
            failed = False
            try:
                with torch.no_grad():
                    stack = torch.from_numpy(np.stack(self.tiles[:now])).to(self.device)
                    results = self.network(stack).float()
            except torch.OutOfMemoryError:
                failed = True
            if failed:
                # Outside the handler, whose traceback would keep the tensors alive.
                stack = results = None
                self._halve(now)
                continue
            for (canvas, row, column), result in zip(self.places[:now], results, strict=True):
                canvas.paste(row, column, result)
            del self.tiles[:now], self.places[:now]

    def _halve(self, tried: int) -> None:
        import torch

        if tried == 1:
            raise DeviceMemoryError(self.device, self.tiles[0].shape)
        self.batch = tried // 2
        torch.cuda.empty_cache()
        _log.warning(
            "%s has no memory for %d tiles at once; going on with %d",
            self.device,
            tried,
            self.batch,
        )
