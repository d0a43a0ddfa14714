"""Find the files that an index names, below the index's own folder and nowhere else."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

from phenolake.images.planes import Problem
from phenolake.images.readers.base import entries_of


class Folder:
    """Files of one folder tree, found by the relative names that metadata give.

    Names match exactly, or else the only file whose name is equal without regard to case and
    Unicode form. Links, absolute paths and paths that leave the folder are never followed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listed: dict[Path, set[str]] = {}
        self._plain: dict[Path, dict[str, str | None]] = {}

    def find(self, name: str) -> Path | str:
        """The file's path, or a few words on why there is none."""
        parts = relative_parts(name)
        if parts is None:
            return "a path that leaves the plate's folder"
        folder = self.root
        for part in parts[:-1]:
            found = self._entry(folder, part)
            if found is None or not (folder / found).is_dir():
                return "no such file"
            folder = folder / found
        found = self._entry(folder, parts[-1])
        return "no such file" if found is None else folder / found

    def _entry(self, folder: Path, name: str) -> str | None:
        """The name as the folder has it."""
        listed = self._listed.get(folder)
        if listed is None:
            listed = self._listed[folder] = {
                e.name for e in entries_of(folder) if not e.is_symlink()
            }
        if name in listed:
            return name
        plain = self._plain.get(folder)
        if plain is None:
            plain = self._plain[folder] = {}
            for entry in listed:  # a name that two entries share stands for none
                key = _plain(entry)
                plain[key] = None if key in plain else entry
        return plain.get(_plain(name))


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def relative_parts(name: str) -> list[str] | None:
    """Components of a relative path; None for one that is absolute, a URL, or goes upwards."""
    name = name.strip()
    if (
        "\0" in name
        or "://" in name
        or PureWindowsPath(name).drive
        or PurePosixPath(name).is_absolute()
    ):
        return None
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return None if not parts or ".." in parts or name.startswith(("/", "\\")) else parts


def missing(path_name: str, reason: str, folder: Path, **place: object) -> Problem:
    """The problem of a plane whose file is not there, or must not be read."""
    outside = reason.startswith("a path")
    return Problem(
        "path_outside_plate" if outside else "missing_plane",
        "Correct the path in the index." if outside else "Copy the file again from the microscope.",
        uri=str(folder / path_name) if not outside else path_name[:500],
        expected="a file below the plate's folder" if outside else "the file that the index names",
        got=reason,
        **place,  # type: ignore[arg-type]
    )
