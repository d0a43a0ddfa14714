"""The reader interface: say whether a folder is yours, then list its planes lazily."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from phenolake.identity import PLATE_FORMATS
from phenolake.images.pixels import is_image_name
from phenolake.images.planes import Plane, Problem

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Deepest folder that is looked into, below the one given.
MAX_DEPTH = 16


@dataclass(frozen=True)
class Detection:
    """How well a reader fits a folder: the share of image files it understands, and why."""

    reader: str
    share: float
    reason: str
    settings: dict[str, str] = field(default_factory=dict)


class Reader(Protocol):
    """Turns a plate's folder into planes; never reads pixels."""

    name: str

    def plate_wells(self, folder: Path) -> int | None:
        """Wells of the plate (6 to 1536) where the metadata say so."""
        return None

    def detect(self, folder: Path) -> Detection | None:
        """Tell how well this reader fits the folder; None if not at all."""
        ...

    def planes(self, folder: Path) -> Iterator[Plane | Problem]:
        """List every plane of the plate, in path order."""
        ...


def format_of(rows: object, columns: object) -> int | None:
    """Plate format with so many rows and columns; None for an unknown one or no numbers."""
    try:
        shape = int(str(rows)), int(str(columns))
    except ValueError:
        return None
    return next((wells for wells, known in PLATE_FORMATS.items() if known == shape), None)


def number(text: str | None, factor: float = 1.0) -> float | None:
    """A finite number times `factor`; None where there is none."""
    try:
        value = float(text or "") * factor
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def moment(text: str | None) -> datetime | None:
    """A point in time from ISO 8601 text; without a zone it is taken as UTC."""
    try:
        found = datetime.fromisoformat((text or "").strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def image_files(folder: Path) -> Iterator[Path]:
    """Image files below a folder in path order.

    Hidden and `_` entries, links, and the insides of Zarr stores are left out; a folder that
    disappears meanwhile counts as empty.
    """
    return (Path(entry.path) for entry in _files(folder) if is_image_name(entry.name))


def holds_image(folder: Path) -> bool:
    """Whether any image lies below a folder, by the rules of `image_files`; in no order, so fast."""
    pending = [(folder, 0)]
    while pending:
        current, depth = pending.pop()
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    if entry.name.startswith((".", "_")):
                        continue
                    if entry.is_file(follow_symlinks=False) and is_image_name(entry.name):
                        return True
                    if (
                        entry.is_dir(follow_symlinks=False)
                        and depth < MAX_DEPTH
                        and not entry.name.endswith(".zarr")
                    ):
                        pending.append((Path(entry.path), depth + 1))
        except OSError:
            continue
    return False


def files_below(folder: Path, wanted: Callable[[Path], bool]) -> Iterator[Path]:
    """Files below a folder that `wanted` accepts, in path order; see `image_files` for the rules."""
    return (path for entry in _files(folder) if wanted(path := Path(entry.path)))


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    pending = [(folder, 0)]
    while pending:
        current, depth = pending.pop()
        folders = []
        for entry in entries_of(current):
            if entry.name.startswith((".", "_")):
                continue
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.endswith(".zarr") and depth < MAX_DEPTH:
                    folders.append((Path(entry.path), depth + 1))
            elif entry.is_file(follow_symlinks=False):
                yield entry
        pending.extend(reversed(folders))


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """Entries of a folder by name; none if it can't be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def map_files(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Apply a function that waits for storage to every item; results in order, lazily.

    Threads overlap the waiting; items travel in groups, since handing over each costs more than
    reading a header.
    """
    waiting = iter(items)

    def many(group: list[Item]) -> list[Result]:
        return [function(item) for item in group]

    with ThreadPoolExecutor(8) as pool:
        while True:
            groups = [group for _ in range(32) if (group := list(islice(waiting, 64)))]
            if not groups:
                return
            for results in pool.map(many, groups):
                yield from results
