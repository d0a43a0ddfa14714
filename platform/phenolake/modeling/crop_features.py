"""Features of the object in the middle of each crop, measured for many crops in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from phenolake.errors import TrainingDataError
from phenolake.identity import OBJECT

if TYPE_CHECKING:
    import polars as pl

#: Families that make sense for one object alone, without a field around it.
FAMILIES = (
    "AreaShape",
    "Moments",
    "Zernike",
    "Dimensions",
    "Intensity",
    "IntensityVariation",
    "Texture:1,3,6",
    "SER:0,1,2",
    "Gabor",
    "Correlation",
    "RadialDistribution",
    "RadialZernike",
    "ObjectSkeleton",
)
_COMPARTMENT = "Cell"
_BLUR = 1.0
# Levels between the darkest pixels and the object's brightest: above it a pixel is the object's.
_LEVEL = 0.35
_DARKEST, _BRIGHTEST = 5, 95
# Objects that reach into this middle share of the crop belong to the cell.
_MIDDLE = 0.3
_GAP = 16
_AT_ONCE = 2500


def measure_crops(
    crops: np.ndarray, channels: Sequence[str] | None = None, object_channel: int = 0
) -> pl.DataFrame:
    """Return one row of features per crop: shape, intensity, texture of the object in its middle.

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
    Each channel is measured twice: as it is, and exposed for its own cell (`<name>Relative`, from
    the darkest pixels to the object's brightest), which is the same for any gain and offset of the
    microscope. Crops are laid side by side with dark gaps and measured in one call; no feature
    looks beyond its own object by more than the gap.

    Raises
    ------
    TrainingDataError
        If the crops have another shape, are too small, or names and channels differ in number.
    """
    import polars as pl

    from phenolake.features import measure

    count, planes = _checked(crops, channels)
    names = list(channels) if channels is not None else [f"Channel{i}" for i in range(planes)]
    names += [f"{name}Relative" for name in names]
    frames = []
    # An empty batch still goes through, so that the frame has its columns.
    for start in range(0, max(count, 1), _AT_ONCE):
        image, objects = _sheet(crops[start : start + _AT_ONCE], object_channel)
        frames.append(measure(image, names, {_COMPARTMENT: objects}, families=FAMILIES))
    return pl.concat(frames).drop(OBJECT, _positions(frames[0]))


def central_object(crop: np.ndarray) -> np.ndarray:
    """Return the mask of the object in the middle of one crop (y, x), bool, never empty.

    Pixels above Otsu's threshold, or above a third of the middle's brightness where that is
    lower, in parts that reach into the middle: fragments and two nuclei of one cell stay together.
    """
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    smooth = ndimage.gaussian_filter(crop.astype(np.float32), _BLUR)
    size = len(smooth)
    inner = slice(*(np.array([0.5 - _MIDDLE / 2, 0.5 + _MIDDLE / 2]) * size).round().astype(int))
    dark = np.percentile(smooth, _DARKEST)
    bright = np.percentile(smooth[inner, inner], _BRIGHTEST)
    level = min(threshold_otsu(smooth), dark + _LEVEL * (bright - dark))
    parts, _ = ndimage.label(smooth > level, structure=np.ones((3, 3)))
    middle = np.unique(parts[inner, inner])
    found = np.isin(parts, middle[middle > 0])
    if not found.any():
        # A crop without structure: its middle stands for the object, so that every cell has a row.
        found[inner, inner] = True
    return found


def _sheet(crops: np.ndarray, object_channel: int) -> tuple[np.ndarray, np.ndarray]:
    """Crops side by side: image float32 (2 x channel, y, x) in 0..1, objects int32 (y, x)."""
    count, planes, size, _ = crops.shape
    columns = max(int(np.ceil(np.sqrt(count))), 1)
    rows = max(-(-count // columns), 1)
    pitch = size + 2 * _GAP
    image = np.zeros((2 * planes, rows * pitch, columns * pitch), np.float32)
    objects = np.zeros(image.shape[1:], np.int32)
    for index, crop in enumerate(crops):
        row, column = divmod(index, columns)
        y, x = (slice(place * pitch + _GAP, place * pitch + _GAP + size) for place in (row, column))
        mask = central_object(crop[object_channel])
        objects[y, x] = mask * np.int32(index + 1)
        image[:planes, y, x] = crop / np.float32(255)
        image[planes:, y, x] = relative_brightness(crop, mask)
    return image, objects


def relative_brightness(crop: np.ndarray, mask: np.ndarray, most: float = 1.0) -> np.ndarray:
    """Return channels from their darkest pixels (0) to the object's brightest (1), float32.

    `crop`: uint8 (channel, y, x). `mask`: bool (y, x), the object. Pixels are cut at 0 and `most`.
    """
    dark = np.percentile(crop, _DARKEST, axis=(1, 2))[:, None, None]
    bright = np.percentile(crop[:, mask], 99, axis=1)[:, None, None]
    return np.clip((crop - dark) / np.maximum(bright - dark, 1), 0, most).astype(np.float32)


def _positions(frame: pl.DataFrame) -> list[str]:
    """Columns that say where on the sheet a crop lies."""
    from phenolake.features.naming import is_position

    return [name for name in frame.columns if name != OBJECT and is_position(name)]


def _checked(crops: np.ndarray, channels: Sequence[str] | None) -> tuple[int, int]:
    if crops.ndim != 4 or crops.shape[2] != crops.shape[3] or crops.shape[2] < 8:
        raise TrainingDataError(
            f"expected crops (n, channel, y, x) of 8 pixels or more, got {crops.shape}"
        )
    if channels is not None and len(channels) != crops.shape[1]:
        raise TrainingDataError(f"{crops.shape[1]} channels, but {len(channels)} names")
    return crops.shape[0], crops.shape[1]
