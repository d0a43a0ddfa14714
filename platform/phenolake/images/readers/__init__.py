"""Readers by name, and the choice among them for a folder nobody described."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from phenolake.errors import EmptyFolderError, UnknownNameError
from phenolake.images.readers.base import Detection, Reader, image_files
from phenolake.images.readers.cellomics import Cellomics
from phenolake.images.readers.cellvoyager import CellVoyager
from phenolake.images.readers.filename_pattern import FilenamePattern
from phenolake.images.readers.imagexpress import ImageXpress
from phenolake.images.readers.load_data import LoadData
from phenolake.images.readers.metamorph import MetaMorph
from phenolake.images.readers.ome_tiff import OmeTiff
from phenolake.images.readers.ome_zarr import OmeZarr
from phenolake.images.readers.operetta import Operetta

#: Readers by name; of those that fit a folder equally well, the first is taken.
READERS: dict[str, Callable[[str | None], Reader]] = {
    "operetta": lambda _pattern: Operetta(),
    "cellvoyager": lambda _pattern: CellVoyager(),
    "ome_zarr": lambda _pattern: OmeZarr(),
    "load_data": lambda _pattern: LoadData(),
    "imagexpress": lambda _pattern: ImageXpress(),
    "ome_tiff": lambda _pattern: OmeTiff(),
    "metamorph": lambda _pattern: MetaMorph(),
    "cellomics": lambda _pattern: Cellomics(),
    "filename_pattern": FilenamePattern,
}


def reader_named(name: str, pattern: str | None = None) -> Reader:
    """Make the reader of that name; `UnknownNameError` lists the readers there are."""
    if name not in READERS:
        raise UnknownNameError("reader", name, READERS)
    return READERS[name](pattern)


def detect_reader(folder: Path, pattern: str | None = None) -> Detection:
    """The reader that understands most files of a plate's folder.

    Raises
    ------
    EmptyFolderError
        If the folder holds no image file, or none that a reader understands.
    """
    names = ("filename_pattern",) if pattern else READERS
    found = [
        detection
        for name in names
        if (detection := reader_named(name, pattern).detect(folder)) is not None
    ]
    if not found:
        has_images = next(image_files(folder), None) is not None
        raise EmptyFolderError(folder, "known file names" if has_images else "TIFF and PNG files")
    return max(found, key=lambda detection: detection.share)


__all__ = ["READERS", "Detection", "Reader", "detect_reader", "image_files", "reader_named"]
