"""Find the plates of a screen's folder, and tell which are complete."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from phenolake.errors import ConfigurationError, EmptyFolderError
from phenolake.identity import PlateKey, checked_name
from phenolake.images.readers.base import image_files
from phenolake.screens.config import ScreenConfig, load_screen_config

SCREEN_FILE = "screen.yaml"

#: A file of this name says that a plate's copy is finished.
COMPLETE_MARK = "_COMPLETE"


@dataclass(frozen=True)
class Screen:
    """A screen's folder and what `screen.yaml` says about it."""

    folder: Path
    config: ScreenConfig

    @classmethod
    def open(cls, folder: Path, config_file: Path | None = None, name: str | None = None) -> Screen:
        """Read a screen; without `config_file` its `screen.yaml` is used, if there is one.

        Raises
        ------
        EmptyFolderError
            If the folder does not exist.
        ScreenConfigError
            If the configuration can't be used.
        """
        folder = folder.expanduser().resolve()
        if not folder.is_dir():
            raise EmptyFolderError(folder, "a folder of this name")
        config = load_screen_config(config_file or folder / SCREEN_FILE, name or folder.name)
        if name is not None and config.name != name:
            config = config.model_copy(update={"name": checked_name("screen", name)})
        return cls(folder, config)

    def plates(self) -> list[Plate]:
        """Plates of the screen by name: one folder each, or the one that `images` names."""
        if self.config.images is not None:
            folder = inside(self.folder, self.config.images)
            return [Plate(PlateKey(self.config.name, self.config.plate or self.config.name), folder)]
        folders = [
            entry
            for entry in sorted(self.folder.iterdir())
            if entry.is_dir() and not entry.name.startswith(("_", "."))
        ]
        with_images = [folder for folder in folders if next(image_files(folder), None) is not None]
        if not with_images and next(image_files(self.folder), None) is not None:
            return [Plate(PlateKey(self.config.name, self.config.plate or self.config.name), self.folder)]
        return [
            Plate(PlateKey(self.config.name, checked_name("plate", folder.name)), folder)
            for folder in with_images
        ]

    def plate(self, name: str) -> Plate:
        """The plate of that name.

        Raises
        ------
        EmptyFolderError
            If the screen has no such plate (any more).
        """
        for plate in self.plates():
            if plate.key.plate == name:
                return plate
        raise EmptyFolderError(self.folder / name, f"a plate {name!r} of screen {self.config.name!r}")


@dataclass(frozen=True)
class Plate:
    """One plate's folder."""

    key: PlateKey
    folder: Path

    def is_complete(self, quiet_time_s: float) -> bool:
        """Tell whether the copy is finished: marked so, or unchanged for `quiet_time_s` seconds."""
        if (self.folder / COMPLETE_MARK).exists():
            return True
        newest = max((path.stat().st_mtime for path in image_files(self.folder)), default=time.time())
        return time.time() - newest >= quiet_time_s


def inside(root: Path, relative: str) -> Path:
    """A path below `root`; refuses one that leaves it."""
    path = (root / relative).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ConfigurationError(f"{relative!r} leaves the screen's folder {root}")
    return path
