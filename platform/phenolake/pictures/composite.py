"""Fields and cells in pseudo-colours, with outlines and a scale bar, as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.errors import ConfigurationError

#: Okabe and Ito's colours; a sum of neighbours is told apart with any colour vision.
PSEUDO_COLOURS = {
    "blue": (86, 180, 233), "orange": (230, 159, 0), "green": (0, 158, 115),
    "pink": (204, 121, 167), "yellow": (240, 228, 66), "red": (213, 94, 0), "grey": (255, 255, 255),
}  # fmt: skip
_CYCLE = ("blue", "orange", "green", "pink", "yellow", "red")
_BARS_UM = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_LOUD = {"Nuclei": (255, 215, 0), "Cells": (0, 220, 255), "Cytoplasm": (0, 220, 255)}

Rgb = NDArray[np.uint8]


def colours_for(channels: int) -> list[str]:
    """Pseudo-colours of so many channels; one alone is grey."""
    return ["grey"] if channels == 1 else [_CYCLE[i % len(_CYCLE)] for i in range(channels)]


def composite(image: NDArray, limits: Sequence[tuple[float, float]], colours: Sequence[str]) -> Rgb:
    """Sum of the channels in their colours, uint8 (y, x, 3).

    Parameters
    ----------
    image
        Shape (channel, y, x).
    limits
        Per channel: values shown as black and as the full colour.
    colours
        Per channel a name of `PSEUDO_COLOURS`.

    Raises
    ------
    ConfigurationError
        If a colour is unknown.
    """
    picture = np.zeros((*image.shape[1:], 3), np.float32)
    for plane, (low, high), name in zip(image, limits, colours, strict=True):
        if name not in PSEUDO_COLOURS:
            raise ConfigurationError(f"colour {name!r}: choose of {', '.join(PSEUDO_COLOURS)}")
        reach = max(high - low, 1e-9)
        share = np.clip((plane - np.float32(low)) / np.float32(reach), 0, 1)
        picture += share[..., None] * np.array(PSEUDO_COLOURS[name], np.float32)
    return np.minimum(picture, 255).astype(np.uint8)


def draw_outlines(
    picture: Rgb,
    labels: Mapping[str, NDArray],
    colours: Mapping[int, tuple[int, int, int]] | None = None,
) -> Rgb:
    """The picture with the outlines of objects, each compartment or each object in a colour.

    Parameters
    ----------
    picture
        uint8 (y, x, 3).
    labels
        Compartment to label image of the same height and width.
    colours
        Object number to colour; objects it lacks are drawn grey. None: a colour per compartment.
    """
    from phenolake.pictures.overlay import outlines

    drawn = picture.copy()
    for compartment, mask in labels.items():
        edge = outlines(mask)
        if colours is None:
            drawn[edge] = _LOUD.get(compartment, (255, 255, 255))
            continue
        table = np.full((int(mask.max(initial=0)) + 1, 3), 128, np.uint8)
        for number, colour in colours.items():
            if number < table.shape[0]:
                table[number] = colour
        drawn[edge] = table[mask[edge]]
    return drawn


def draw_scale_bar(picture: Rgb, pixel_size_um: float | None) -> Rgb:
    """The picture with a bar of a round length at the lower right; as it is without a pixel size."""
    from PIL import Image, ImageDraw

    if not pixel_size_um:
        return picture
    width = picture.shape[1]
    length = max((um for um in _BARS_UM if um / pixel_size_um <= width / 4), default=None)
    if length is None:
        return picture
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    right, bottom = width - 8, picture.shape[0] - 8
    pen.rectangle((right - length / pixel_size_um, bottom - 4, right, bottom), fill="white")
    pen.text((right - 4, bottom - 18), f"{length} um", fill="white", anchor="ra")
    return np.asarray(image)


def resized(image: NDArray, edge: int) -> NDArray:
    """The channels of (channel, y, x) averaged down so that the longer edge is at most `edge`."""
    from PIL import Image

    scale = edge / max(image.shape[1:])
    if scale >= 1:
        return image
    size = tuple(max(1, round(length * scale)) for length in image.shape[1:])
    planes = [
        np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BOX))
        for plane in image.astype(np.float32)
    ]
    return np.stack(planes)


def png_of(picture: NDArray) -> bytes:
    """Bytes of a PNG: uint8 (y, x) or (y, x, 3), or uint16 (y, x)."""
    import imagecodecs

    # Level 1 writes twice as fast as 6; over a local connection the size does not matter.
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(picture), level=1))


def tiled(pictures: Sequence[Rgb], columns: int, gap: int = 4) -> Rgb:
    """Pictures of one size or smaller side by side, in rows."""
    height = max(picture.shape[0] for picture in pictures)
    width = max(picture.shape[1] for picture in pictures)
    rows = -(-len(pictures) // columns)
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), np.uint8)
    for number, picture in enumerate(pictures):
        top, left = (number // columns) * (height + gap), (number % columns) * (width + gap)
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet
