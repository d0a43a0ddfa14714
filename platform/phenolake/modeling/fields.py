"""Whole fields as small square images for networks that need no segmentation."""

from __future__ import annotations

import numpy as np

from phenolake.errors import TrainingDataError
from phenolake.modeling.crops import as_uint8


def shrink_field(image: np.ndarray, size: int = 128, full_scale: float | None = None) -> np.ndarray:
    """Return the middle square of a field at a lower resolution, uint8 (channel, size, size).

    Parameters
    ----------
    image
        uint16, uint8 or float in 0..1; shape (channel, y, x) or (y, x).
    size
        Edge of the result. Blocks of whole pixels are averaged, as many as fit; the rest of the
        field, less than one block a side, is left out evenly.
    full_scale
        Pixel value that maps to 255, see `as_uint8`.

    Raises
    ------
    TrainingDataError
        If the field is smaller than `size`, or its pixels are not usable.
    """
    image = image[np.newaxis] if image.ndim == 2 else image
    block = min(image.shape[-2:]) // size if image.ndim == 3 and size > 0 else 0
    if not block:
        raise TrainingDataError(
            f"expected a field (channel, y, x) of {size} px or more a side, got {image.shape}"
        )
    edge = block * size
    top, left = (image.shape[1] - edge) // 2, (image.shape[2] - edge) // 2
    square = as_uint8(image[:, top : top + edge, left : left + edge], full_scale)
    blocks = square.reshape(len(image), size, block, size, block)
    return np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)
