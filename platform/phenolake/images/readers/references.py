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
        self._listed: dict[Path, dict[str, Path]] = {}

    def find(self, name: str) -> Path | str:
        """The file's path, or a few words on why there is none."""
        parts = relative_parts(name)
        if parts is None:
            return "a path that leaves the plate's folder"
        current: Path | None = self.root
        for part in parts[:-1]:
            current = self._entry(current, part, is_folder=True) if current else None
        found = self._entry(current, parts[-1], is_folder=False) if current else None
        return found or "no such file"

    def _entry(self, folder: Path, name: str, *, is_folder: bool) -> Path | None:
        listed = self._listed.get(folder)
        if listed is None:
            listed = self._listed[folder] = _listing(folder)
        found = listed.get(name) or listed.get(_plain(name))
        return None if found is None or (is_folder and not found.is_dir()) else found


def _listing(folder: Path) -> dict[str, Path]:
    """Entries by exact name, and by plain name where only one entry has it."""
    exact = {e.name: Path(e.path) for e in entries_of(folder) if not e.is_symlink()}
    plain: dict[str, list[Path]] = {}
    for name, path in exact.items():
        plain.setdefault(_plain(name), []).append(path)
    return {**{name: paths[0] for name, paths in plain.items() if len(paths) == 1}, **exact}


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
