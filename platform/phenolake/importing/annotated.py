"""Images with a hand-made label mask each: where they lie, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from phenolake.errors import ConfigurationError, ImageReadError, MaskShapeError
from phenolake.images.pixels import is_image, read_plane
from phenolake.importing.label_images import read_labels
from phenolake.segmentation.label_images import Labels

#: Endings that name the mask of an image where both lie in one folder.
_MASK_ENDINGS = ("_masks", "_mask", "_labels", "_label")
#: Condition of images for which none is listed.
UNLISTED = "all"


@dataclass(frozen=True)
class AnnotatedImage:
    """One plane of nuclei and its truth; `condition` groups images made alike."""

    name: str
    condition: str
    image: Path
    mask: Path

    def read(self) -> tuple[NDArray, Labels]:
        """Image (channel, y, x) with one channel, dtype as stored, and labels int32 (y, x).

        Labels may have gaps; pieces of one number count as one object.

        Raises
        ------
        ImageReadError
            If a file can't be decoded, or the mask holds no numbered objects.
        MaskShapeError
            If image and mask differ in shape.
        """
        plane, labels = read_plane(self.image), read_labels(self.mask)
        if plane.shape != labels.shape:
            raise MaskShapeError(self.name, plane.shape, labels.shape)
        if labels.max(initial=0) == 255 and np.unique(labels).size == 2:
            raise ImageReadError(
                str(self.mask), "holds only 0 and 255; a truth mask needs a number per object"
            )
        return plane[None], labels


def annotated_images(folder: Path) -> list[AnnotatedImage]:
    """Images of a folder that have a mask, in order of their names.

    Two layouts are known: `images/NAME.png` with `masks/NAME.png`, and `NAME.tif` beside
    `NAME_masks.tif` (also `_mask`, `_labels`, `_label`). The condition is the column `condition`
    of an `index.csv` with `id` or `image`; else the folder's images are one condition, `all`.

    Raises
    ------
    ConfigurationError
        If no image has a mask, or `index.csv` can't be read.
    """
    conditions = _conditions(folder / "index.csv")
    found = [
        AnnotatedImage(image.stem, conditions.get(image.stem, UNLISTED), image, mask)
        for image, mask in _pairs(folder)
    ]
    if not found:
        raise ConfigurationError(
            f"{folder}: found no image with a mask; expected images/NAME.png with masks/NAME.png, "
            "or NAME.tif beside NAME_masks.tif"
        )
    return found


def _pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    images, masks = folder / "images", folder / "masks"
    if images.is_dir() and masks.is_dir():
        by_name = {path.stem: path for path in sorted(masks.iterdir()) if is_image(path)}
        for path in sorted(images.iterdir()):
            if is_image(path) and path.stem in by_name:
                yield path, by_name[path.stem]
        return
    files = {p.stem: p for p in sorted(folder.iterdir()) if is_image(p)} if folder.is_dir() else {}
    for stem, path in files.items():
        mask = next((files[stem + end] for end in _MASK_ENDINGS if stem + end in files), None)
        if mask is not None:
            yield path, mask


def _conditions(index: Path) -> dict[str, str]:
    if not index.exists():
        return {}
    try:
        table = pl.read_csv(index, infer_schema=False)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{index}: not readable as CSV") from error
    key = next((name for name in ("id", "image") if name in table.columns), None)
    if key is None or "condition" not in table.columns:
        return {}
    named = table.drop_nulls([key, "condition"])
    return dict(zip(named[key], named["condition"], strict=True))
