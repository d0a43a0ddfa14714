"""What kind of source a folder or file is, told by names and headers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from phenolake.errors import ImportSourceError
from phenolake.images.readers.base import files_below
from phenolake.importing.exports import is_cellprofiler_csv, is_database
from phenolake.importing.label_images import mask_files
from phenolake.importing.profile_tables import is_profile_table

KINDS = {
    "cellprofiler_csv": "folders of CellProfiler CSV files, one per compartment",
    "cellprofiler_sqlite": "CellProfiler or cytominer-database SQLite files",
    "profiles": "profile tables of pycytominer or JUMP (Parquet, CSV)",
    "masks": "label images (TIFF, PNG, OME-Zarr labels, Cellpose _seg.npy, probability maps)",
}
#: Names in a path that say its images are masks; without one, images are not taken for masks.
_MASK_WORDS = ("mask", "label", "segment", "objects", "_seg.npy", "probabilit")


def detect_kinds(source: Path) -> list[str]:
    """Kinds of sources at or below a path, in the order of `KINDS`.

    Raises
    ------
    ImportSourceError
        If the path does not exist or holds nothing that can be imported.
    """
    if not source.exists():
        raise ImportSourceError(source, "no such file or folder")
    found = [kind for kind in KINDS if next(iter(files_of(source, kind)), None) is not None]
    if not found:
        raise ImportSourceError(
            source, f"nothing to import (looked for {'; '.join(KINDS.values())})"
        )
    return found


def files_of(source: Path, kind: str) -> Iterator[Path]:
    """Files of a kind at or below a path, in path order."""
    if kind == "masks":
        yield from (
            path for name, path in mask_files(source) if _names_mask(f"{source.name}/{name}")
        )
        return
    wanted = {
        "cellprofiler_csv": is_cellprofiler_csv,
        "cellprofiler_sqlite": is_database,
        "profiles": is_profile_table,
    }[kind]
    if source.is_file():
        yield from (path for path in [source] if wanted(path))
        return
    yield from files_below(source, wanted)


def _names_mask(name: str) -> bool:
    text = name.casefold()
    return any(word in text for word in _MASK_WORDS)
