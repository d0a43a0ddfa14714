"""Find the plates of a screen's folder, and tell which are complete."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from phenolake.errors import ConfigurationError, EmptyFolderError, LinkRefusedError, PlateTwiceError
from phenolake.identity import PlateKey, checked_name
from phenolake.images.readers.base import image_files
from phenolake.screens.config import ScreenConfig, load_screen_config
from phenolake.screens.plate_folders import (
    FoundPlate,
    find_plates,
    linked_folders,
    newest_change,
    plates_of_folder,
)

SCREEN_FILE = "screen.yaml"

#: A file of this name says that a plate's copy is finished.
COMPLETE_MARK = "_COMPLETE"


@dataclass(frozen=True)
class Screen:
    """A screen's folder and what `screen.yaml` says about it."""

    folder: Path
    config: ScreenConfig
    #: other folders that hold plates of the same screen
    more_roots: tuple[Path, ...] = ()
    #: folders outside of the roots that links to plates may lead to
    linked_folders: tuple[Path, ...] = ()

    @property
    def roots(self) -> tuple[Path, ...]:
        """Every folder that holds plates of the screen; the first has its `screen.yaml`."""
        return (self.folder, *self.more_roots)

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
        # A link to a screen's folder gives the screen its name.
        own_name = Path(os.path.abspath(folder.expanduser())).name  # noqa: PTH100 (it follows links)
        folder = folder.expanduser().resolve()
        if not folder.is_dir():
            raise EmptyFolderError(folder, "a folder of this name")
        own_file = folder / SCREEN_FILE
        if config_file in (None, own_file) and not is_below(own_file, [folder]):
            raise LinkRefusedError(own_file, os.path.realpath(own_file))
        config = load_screen_config(config_file or own_file, name or plate_name(own_name))
        if name is not None and config.name != name:
            config = config.model_copy(update={"name": checked_name("screen", name)})
        return cls(folder, config)

    def plates(self) -> list[Plate]:
        """Plates of the screen by name.

        The one that `images` names; or the folder itself where it is one plate to a reader; or the
        folders below it, each of which may hold several.
        """
        whole = self.config.plate or self.config.name
        if self.config.images is not None:
            folder = inside(self.folder, self.config.images)
            return [Plate(PlateKey(self.config.name, whole), folder)]
        plates = []
        for root in self.roots:
            taken: dict[str, int] = {}
            for found in [*find_plates(root, whole), *self._linked(root)]:
                name = plate_name(found.name)
                # Two folders may differ only in signs that a plate's name can't have.
                taken[name] = taken.get(name, 0) + 1
                name = name if taken[name] == 1 else f"{name}-{taken[name]}"
                plates.append(
                    Plate(PlateKey(self.config.name, name), found.folder, found.shares_folder)
                )
        return sorted(plates, key=lambda plate: plate.key)

    def refused_links(self) -> dict[PlateKey, LinkRefusedError]:
        """Links to folders that are not followed, by the plate that each would be.

        They lead out of the allowed folders.
        """
        return {
            PlateKey(self.config.name, plate_name(link.name)): LinkRefusedError(
                link, link.resolve()
            )
            for root in self.roots
            for link in linked_folders(root)
            if not is_below(link, (*self.roots, *self.linked_folders))
        }

    def _linked(self, root: Path) -> Iterator[FoundPlate]:
        """Plates that links below a root lead to; what lies in the screen is found there."""
        for link in linked_folders(root):
            target = link.resolve()
            within = is_below(link, self.roots) or any(is_below(r, [target]) for r in self.roots)
            if is_below(link, self.linked_folders) and not within:
                yield from plates_of_folder(target, link.name)

    def plate(self, name: str) -> Plate:
        """The plate of that name.

        Raises
        ------
        EmptyFolderError
            If the screen has no such plate (any more).
        PlateTwiceError
            If two folders of the screen claim it.
        """
        claimed = [plate for plate in self.plates() if plate.key.plate == name]
        if len(claimed) > 1:
            raise PlateTwiceError(self.config.name, name, [plate.folder for plate in claimed])
        if claimed:
            return claimed[0]
        raise EmptyFolderError(
            self.folder / name, f"a plate {name!r} of screen {self.config.name!r}"
        )


@dataclass(frozen=True)
class Plate:
    """One plate's folder; `shares_folder` where the folder's metadata name several plates."""

    key: PlateKey
    folder: Path
    shares_folder: bool = False

    def is_complete(self, quiet_time_s: float) -> bool:
        """Tell whether the copy is finished: marked so, or unchanged for `quiet_time_s` seconds."""
        if (self.folder / COMPLETE_MARK).exists():
            return True
        times = [path.stat().st_mtime for path in image_files(self.folder)] or newest_change(
            self.folder
        )
        return time.time() - max(times, default=time.time()) >= quiet_time_s


def is_below(path: Path, folders: Iterable[Path]) -> bool:
    """Whether a path is one of the folders or lies below one, links followed."""
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(folder) for folder in folders)


def plate_name(text: str) -> str:
    """A plate's name from a folder's or an index's: what a key can't hold becomes `-` or `_`."""
    clean = "".join(c if c.isprintable() and c not in "/\\\"'" else "-" for c in text)
    clean = re.sub("__+", "_", clean).strip().lstrip("._ ")[:128].strip()
    return clean or "plate"


def inside(root: Path, relative: str) -> Path:
    """A path below `root`; refuses one that leaves it."""
    try:
        path = (root / relative).resolve()
    except (OSError, RuntimeError) as error:  # a loop of links, a name too long
        raise ConfigurationError(f"{relative!r} can't be followed: {error}") from error
    if not path.is_relative_to(root.resolve()):
        raise ConfigurationError(f"{relative!r} leaves the screen's folder {root}")
    return path


__all__ = [
    "COMPLETE_MARK",
    "SCREEN_FILE",
    "FoundPlate",
    "Plate",
    "Screen",
    "inside",
    "is_below",
    "plate_name",
]
