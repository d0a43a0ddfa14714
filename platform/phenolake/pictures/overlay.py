"""Montage of fields with the outlines of their nuclei and cells, as one small PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phenolake.errors import ConfigurationError, MaskShapeError

if TYPE_CHECKING:
    from PIL.Image import Image

#: Outline colours that people with any colour vision tell apart, on grey.
COLOURS = {"Cells": (0, 200, 255), "Nuclei": (255, 215, 0)}
_CAPTION_HEIGHT = 14
_GAP = 4


def outlines_montage(
    images: Sequence[ArrayLike],
    masks: Sequence[Mapping[str, ArrayLike]],
    captions: Sequence[str] = (),
    *,
    tile: int = 300,
    max_bytes: int = 120_000,
) -> bytes:
    """PNG of several fields in rows, nuclei outlined in yellow and cells in cyan.

    Each channel is stretched between its 1st and 99.7th percentile and shown as its share of a
    grey image. Grey levels are reduced, then the tiles, until the file fits `max_bytes`.

    Parameters
    ----------
    images
        Any real dtype, each of shape (channel, y, x) or (y, x).
    masks
        Per image: compartment to label image, integers, shape (y, x); `Nuclei` and `Cells` are
        drawn where they are there.
    captions
        Text below each image; fewer than images, or none, is fine.
    tile
        Longer edge of a field in the montage, pixels.
    max_bytes
        Size that the file stays below where at all possible.

    Raises
    ------
    ConfigurationError
        If there is no image, or not one set of masks for each image.
    MaskShapeError
        If a label image has another shape than its image.
    """
    if not images or len(images) != len(masks):
        raise ConfigurationError(
            f"expected one set of masks for each image, got {len(images)} and {len(masks)}"
        )
    png = b""
    for edge, levels in ((tile, 64), (tile, 24), (tile * 2 // 3, 24), (tile // 2, 16)):
        tiles = [
            _tile(np.asarray(image), labels, edge, levels, index)
            for index, (image, labels) in enumerate(zip(images, masks, strict=True))
        ]
        buffer = io.BytesIO()
        _assemble(tiles, list(captions), levels).save(buffer, format="PNG", optimize=True)
        png = buffer.getvalue()
        if len(png) <= max_bytes:
            break
    return png


def _tile(
    image: NDArray, masks: Mapping[str, ArrayLike], edge: int, levels: int, number: int
) -> NDArray[np.uint8]:
    """Palette indices of one field: greys below `levels`, then one index per compartment."""
    stack = image[None] if image.ndim == 2 else image
    shape = stack.shape[1:]
    scale = min(1.0, edge / max(shape))
    size = tuple(max(1, round(length * scale)) for length in shape)
    indices = grey_levels(stack, size, levels)
    for position, compartment in enumerate(COLOURS):
        if compartment not in masks:
            continue
        labels = np.asarray(masks[compartment])
        if labels.shape != shape:
            raise MaskShapeError(f"image {number}, {compartment}", shape, labels.shape)
        indices[outlines(sampled(labels, size))] = levels + position
    return indices


def grey_levels(stack: NDArray, size: tuple[int, ...], levels: int) -> NDArray[np.uint8]:
    """Mean of the stretched channels of (channel, y, x) at another size, as levels from 0."""
    grey = np.mean([_stretched(_shrunk(plane, size)) for plane in stack], axis=0)
    return np.round(np.sqrt(grey) * (levels - 1)).astype(np.uint8)


def _shrunk(plane: NDArray, size: tuple[int, ...]) -> NDArray[np.float32]:
    from PIL import Image

    finite = np.nan_to_num(plane.astype(np.float32), nan=0, posinf=0, neginf=0)
    picture = Image.fromarray(finite).resize((size[1], size[0]), Image.Resampling.BOX)
    return np.asarray(picture, np.float32)


def _stretched(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.percentile(plane, (1, 99.7))
    if high <= low:
        return np.zeros_like(plane)
    return np.clip((plane - low) / (high - low), 0, 1)


def sampled(labels: NDArray, size: tuple[int, ...]) -> NDArray:
    """Label image at another size, each pixel the label at its centre."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp)
        for new, old in zip(size, labels.shape, strict=True)
    )
    return labels[rows[:, None], columns]


def outlines(labels: NDArray) -> NDArray[np.bool_]:
    """Pixels of objects that have another label above, below, left or right of them."""
    edge = np.zeros(labels.shape, bool)
    down, across = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return edge & (labels > 0)


def _assemble(tiles: list[NDArray[np.uint8]], captions: list[str], levels: int) -> Image:
    from PIL import Image, ImageDraw

    columns = min(len(tiles), 4) if len(tiles) != 4 else 2
    height = max(tile.shape[0] for tile in tiles)
    width = max(tile.shape[1] for tile in tiles)
    step = height + _GAP + (_CAPTION_HEIGHT if captions else 0)
    rows = -(-len(tiles) // columns)
    sheet = Image.new("P", (columns * (width + _GAP) - _GAP, rows * step - _GAP), 0)
    greys = [round(255 * level / (levels - 1)) for level in range(levels) for _ in range(3)]
    sheet.putpalette([*greys, *(value for colour in COLOURS.values() for value in colour)])
    pen = ImageDraw.Draw(sheet)
    for number, tile in enumerate(tiles):
        left, top = (number % columns) * (width + _GAP), (number // columns) * step
        sheet.paste(Image.fromarray(tile), (left, top))
        if number < len(captions):
            pen.text((left + 2, top + height + 1), captions[number], fill=levels - 1)
    return sheet
