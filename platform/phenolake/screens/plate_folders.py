"""Which folders below a screen are plates, by the marks that instruments leave; reads names only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from phenolake.images.readers.base import entries_of, holds_image
from phenolake.images.readers.load_data import list_files, plate_names

#: Folders deeper than this below a screen are not searched for marks.
MAX_DEPTH = 4
_INDEX = re.compile(r"index\.(?:idx\.|ref\.)?xml", re.IGNORECASE)
_MARK = re.compile(r".*\.(?:htd|mlf)", re.IGNORECASE)
_PART = re.compile(r"(?:timepoint|zstep)_\d+", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
#: What analysis leaves beside a folder `images`; never a plate.
_RESULTS = frozenset(
    {"masks", "outlines", "labels", "segmentation", "overlays", "illum", "illumination", "truth"}
)


@dataclass(frozen=True)
class FoundPlate:
    """A plate's folder and the name it goes by; `shares_folder` if there are others in it."""

    name: str
    folder: Path
    shares_folder: bool = False


def find_plates(folder: Path, whole: str) -> list[FoundPlate]:
    """Plates in a screen's folder; `whole` names a plate that is the folder itself."""
    if list_files(folder):
        names = plate_names(folder)
        return [FoundPlate(name, folder, True) for name in names] or [FoundPlate(whole, folder)]
    if _is_plate(folder):
        return [FoundPlate(whole, folder)]
    children = [child for child in _folders(folder) if _holds_images(child)]
    if any(_DATE.fullmatch(child.name) for child in children):
        return _dated(folder, whole)
    images = [child for child in children if child.name.casefold() == "images"]
    if images:
        children = [child for child in children if child.name.casefold() not in _RESULTS]
        if children == images:
            return [FoundPlate(whole, images[0])]
    if not children:
        return [FoundPlate(whole, folder)] if holds_image(folder) else []
    return [plate for child in children for plate in _plates_of(child)]


def plates_of_folder(folder: Path, name: str) -> list[FoundPlate]:
    """The plate of that name in a folder that a link leads to, or the several below it."""
    return [
        replace(plate, name=name + plate.name.removeprefix(folder.name))
        for plate in (_plates_of(folder) if _holds_images(folder) else [])
    ]


def linked_folders(folder: Path) -> list[Path]:
    """Links to folders directly below a folder, by name; loops and links to nothing are left out."""
    return [
        Path(entry.path)
        for entry in entries_of(folder)
        if entry.is_symlink() and not entry.name.startswith(("_", ".")) and _is_folder(entry)
    ]


def newest_change(folder: Path) -> list[float]:
    """Times of change of the first folders of a plate that has no image files, as a Zarr store."""
    places = [folder, *_folders(folder)]
    places += [below for place in places[1:] for below in _folders(place)]
    return [place.stat().st_mtime for place in places if place.exists()]


def _plates_of(child: Path) -> list[FoundPlate]:
    """The plate that a folder is, or the several whose marks lie deeper in it."""
    if _is_plate(child):
        return [FoundPlate(child.name, child)]
    if any(_DATE.fullmatch(below.name) for below in _folders(child)):
        return _dated(child, child.name)
    marked = list(_marked(child, 1))
    if len(marked) <= 1:
        return [FoundPlate(child.name, marked[0] if marked else child)]
    return [FoundPlate("-".join(m.relative_to(child.parent).parts), m) for m in marked]


def _dated(folder: Path, name: str) -> list[FoundPlate]:
    """MetaXpress databases write `<name>/<date>/<plate id>`."""
    runs = [
        run
        for date in _folders(folder)
        if _DATE.fullmatch(date.name)
        for run in _folders(date)
        if holds_image(run)
    ]
    if len(runs) == 1:
        return [FoundPlate(name, runs[0])]
    return [FoundPlate(f"{name}-{run.name}", run) for run in runs]


def _marked(folder: Path, depth: int) -> Iterator[Path]:
    for child in _folders(folder):
        if _is_plate(child):
            yield child
        elif depth < MAX_DEPTH:
            yield from _marked(child, depth + 1)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_plate(folder: Path) -> bool:
    """Whether an instrument's index lies in the folder, or it is a Zarr plate or a time series."""
    names = [entry.name for entry in entries_of(folder)]
    if any(
        _INDEX.fullmatch(name) or _MARK.fullmatch(name) or _PART.fullmatch(name) for name in names
    ):
        return True
    if folder.name.endswith(".zarr") or any(name in (".zattrs", "zarr.json") for name in names):
        return True
    images = next((name for name in names if name.casefold() == "images"), None)
    return images is not None and any(_INDEX.fullmatch(e.name) for e in entries_of(folder / images))


def _holds_images(folder: Path) -> bool:
    if holds_image(folder) or _is_plate(folder):
        return True
    return any(child.name.endswith(".zarr") or _holds_zarr(child) for child in _folders(folder))


def _holds_zarr(folder: Path) -> bool:
    return any(child.name.endswith(".zarr") for child in _folders(folder))


def _folders(folder: Path) -> list[Path]:
    """Folders directly below, by name; links, hidden and `_` folders are left out."""
    return [
        Path(entry.path)
        for entry in entries_of(folder)
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(("_", "."))
    ]
