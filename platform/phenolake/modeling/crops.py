"""Single-cell image windows around nuclei, stored as 8-bit."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from phenolake.errors import TrainingDataError


class Crops(NamedTuple):
    """`pixels`: uint8, shape (n, channel, size, size); `objects`: int32, shape (n,)."""

    pixels: np.ndarray
    objects: np.ndarray


def cut_crops(
    image: np.ndarray,
    nuclei: np.ndarray,
    size: int = 32,
    full_scale: float | None = None,
    *,
    border: Literal["zeros", "reflect"] = "zeros",
    cells: np.ndarray | None = None,
) -> Crops:
    """Return one square window per nucleus and the object numbers in the same order.

    Parameters
    ----------
    image
        uint16, uint8 or float in 0..1; shape (channel, y, x) or (y, x).
    nuclei
        Label image of shape (y, x), 0 = background, or centres of shape (n, 2) as (y, x) in
        pixels. Centres are numbered from 1.
    size
        Edge of a window in pixels. The rounded centre is at index `size // 2` in both axes.
    full_scale
        Pixel value that maps to 255; by default the largest value of the dtype.
    border
        What windows that reach over the border show there: zeros, or the image reflected.
    cells
        Label image of shape (y, x) with the numbers of `nuclei`. If given, pixels of other cells
        are set to zero; background stays.

    Notes
    -----
    16-bit pixels are divided by 256,
    as in Leuchowius (2017).

    Raises
    ------
    TrainingDataError
        If shapes don't fit, a centre is outside the image, or pixels aren't finite or in range.
    """
    image = image[np.newaxis] if image.ndim == 2 else image
    if image.ndim != 3 or size < 1:
        raise TrainingDataError(
            f"expected an image (channel, y, x) and a size above 0, got {image.shape}, {size}"
        )
    nuclei = np.asarray(nuclei)
    if nuclei.shape == image.shape[1:] and nuclei.dtype.kind in "iub":
        centres, objects = object_centres(nuclei)
    else:
        centres = nuclei.reshape(-1, 2) if nuclei.size == 0 else nuclei
        objects = np.arange(1, len(centres) + 1, dtype=np.int32)
    corners = _corners(centres, image.shape[1:], size)
    pixels = as_uint8(_windows(image, corners, size, border), full_scale)
    if cells is not None:
        around = _windows(np.asarray(cells)[np.newaxis], corners, size, border)
        foreign = (around != 0) & (around != objects[:, None, None, None])
        pixels = np.where(foreign, np.uint8(0), pixels)
    return Crops(np.ascontiguousarray(pixels), objects)


def object_centres(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return centroids (float64, shape (n, 2), as (y, x)) and numbers (int32) of all objects."""
    y, x = np.nonzero(labels)
    objects, index = np.unique(labels[y, x], return_inverse=True)
    counts = np.bincount(index, minlength=len(objects))
    sums = [np.bincount(index, weights=axis, minlength=len(objects)) for axis in (y, x)]
    return np.stack(sums, axis=1) / np.maximum(counts, 1)[:, None], objects.astype(np.int32)


def as_uint8(pixels: np.ndarray, full_scale: float | None = None) -> np.ndarray:
    """Return pixels as uint8: 16-bit divided by 256, floats in 0..1 scaled to 0..255.

    Raises
    ------
    TrainingDataError
        If a pixel is NaN, infinite, negative or, for floats, above 1 (or `full_scale`).
    """
    if pixels.dtype == np.uint8 and full_scale is None:
        return pixels
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "f":
        return _floats_as_uint8(pixels, full_scale or 1.0)
    if pixels.dtype.kind not in "iu":
        raise TrainingDataError(f"pixels of type {pixels.dtype} are no image")
    if pixels.dtype.kind == "i" and pixels.size and pixels.min() < 0:
        raise TrainingDataError(
            f"pixels below 0 (lowest {pixels.min()}); subtract no background first"
        )
    if pixels.dtype == np.uint16 and full_scale is None:
        return (pixels >> 8).astype(np.uint8)
    white = int(full_scale if full_scale is not None else np.iinfo(pixels.dtype).max)
    return np.minimum(pixels.astype(np.uint64) * 256 // (white + 1), 255).astype(np.uint8)


def _floats_as_uint8(pixels: np.ndarray, white: float) -> np.ndarray:
    if not pixels.size:
        return pixels.astype(np.uint8)
    low, high = pixels.min(), pixels.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise TrainingDataError(
            f"{np.count_nonzero(~np.isfinite(pixels))} pixels are NaN or infinite"
        )
    if low < 0 or high > white:
        raise TrainingDataError(f"float pixels must lie in 0..{white:g}, got {low:g}..{high:g}")
    return np.minimum(pixels / white * 256, 255).astype(np.uint8)


def _windows(
    image: np.ndarray, corners: np.ndarray, size: int, border: Literal["zeros", "reflect"]
) -> np.ndarray:
    """Windows (n, channel, size, size) of an image (channel, y, x), padded by half a window."""
    edges = ((0, 0), *[(size // 2, size - size // 2)] * 2)
    # "symmetric" reflects any window, however small the image.
    padded = np.pad(image, edges, mode="symmetric" if border == "reflect" else "constant")
    views = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    return views[:, corners[:, 0], corners[:, 1]].swapaxes(0, 1)


def _corners(centres: np.ndarray, shape: tuple[int, ...], size: int) -> np.ndarray:
    """Upper left corners in the padded image; padding of size // 2 cancels the half window."""
    if centres.ndim != 2 or centres.shape[1] != 2:
        raise TrainingDataError(
            f"nuclei must be integer labels of shape {shape} or centres of shape (n, 2), "
            f"got {centres.shape}"
        )
    rounded = np.floor(np.asarray(centres, dtype=np.float64) + 0.5)
    inside = (rounded >= 0) & (rounded < np.asarray(shape))
    if not inside.all():
        bad = centres[~inside.all(axis=1)][0]
        raise TrainingDataError(
            f"centre (y={bad[0]:g}, x={bad[1]:g}) lies outside the image {shape}"
        )
    return rounded.astype(np.intp)
