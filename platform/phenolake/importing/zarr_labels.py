"""Label images inside OME-Zarr: the `labels` groups of plates and of single images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from phenolake.images.readers.base import MAX_DEPTH
from phenolake.images.readers.ome_zarr import attributes_of
from phenolake.images.readers.references import relative_parts


def zarr_label_images(root: Path) -> Iterator[tuple[str, Path]]:
    """Name and array of each label image below a folder, at full resolution, in path order.

    The name is what places the image: `<row>/<column>/<site>/labels/<label>` in a plate, site
    being the field's place in the well from 1, else the path below `root`.
    """
    inside = root.resolve()
    for group in _label_groups(root):
        image = group.parent
        place = _place_in_plate(image)
        prefix = place or image.relative_to(root).as_posix()
        if prefix == ".":
            prefix = image.name
        for name in _names(group):
            array = _array_of(group / name)
            if array is not None and array.resolve().is_relative_to(inside):
                yield f"{prefix}/labels/{name}", array


def has_zarr_labels(root: Path) -> bool:
    """Tell whether there is any label image of OME-Zarr at or below a folder."""
    return next(zarr_label_images(root), None) is not None


def _label_groups(root: Path) -> Iterator[Path]:
    base = len(root.parts)
    for folder, below, files in os.walk(root):
        here = Path(folder)
        below.sort()
        if ".zarray" in files or len(here.parts) - base > MAX_DEPTH:
            below.clear()  # an array: chunks only
        elif here.name == "labels" and (".zattrs" in files or "zarr.json" in files):
            yield here
            below.clear()


def _names(group: Path) -> list[str]:
    listed = attributes_of(group).get("labels")
    names = [str(name) for name in listed] if isinstance(listed, list) else []
    return [name for name in names if (parts := relative_parts(name)) and len(parts) == 1]


def _array_of(label: Path) -> Path | None:
    scales = attributes_of(label).get("multiscales")
    try:
        parts = relative_parts(str(scales[0]["datasets"][0]["path"]))  # type: ignore[index]
        array = label.joinpath(*parts) if parts else None
        return array if array is not None and array.is_dir() else None
    except (KeyError, IndexError, TypeError, OSError):  # OSError: a name that no file can have
        return None


def _place_in_plate(image: Path) -> str | None:
    """`<row>/<column>/<site>` of an image of a plate; sites count from 1, as for its planes."""
    images = attributes_of(image.parent).get("well")
    listed = images.get("images") if isinstance(images, dict) else None
    if not isinstance(listed, list):
        return None
    paths = [str(each.get("path")) for each in listed if isinstance(each, dict)]
    if image.name not in paths:
        return None
    row, column = image.parent.parent.name, image.parent.name
    return f"{row}/{column}/{paths.index(image.name) + 1}"
