"""The reader interface: say whether a folder is yours, then list its planes lazily."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from phenolake.images.pixels import is_image
from phenolake.images.planes import Plane, Problem


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

    def detect(self, folder: Path) -> Detection | None:
        """Tell how well this reader fits the folder; None if not at all."""
        ...

    def planes(self, folder: Path) -> Iterator[Plane | Problem]:
        """List every plane of the plate, in path order."""
        ...


def image_files(folder: Path) -> Iterator[Path]:
    """Image files below a folder in path order; hidden and `_` entries and links out are left out."""
    pending = [folder]
    while pending:
        current = pending.pop()
        with os.scandir(current) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        folders = []
        for entry in ordered:
            if entry.name.startswith((".", "_")):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False) and is_image(Path(entry.path)):
                yield Path(entry.path)
        pending.extend(reversed(folders))
