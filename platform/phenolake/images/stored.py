"""Image files by URI: a file of this machine as it is, an object of a store by a copy for as long as it is read.

Where a folder's files were fetched from stands in a small file among them.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from phenolake.errors import ImageReadError
from phenolake.images.pixels import read_plane

#: Beside fetched files: what they are (a fingerprint), and the URI of the folder they came from.
FETCHED = "_FETCHED"

_SCHEME = "://"


@dataclass(frozen=True)
class Fetched:
    """What was fetched into a folder, and from where; no origin in folders of older releases."""

    fingerprint: str
    origin: str = ""

    @classmethod
    def of(cls, folder: Path) -> Fetched | None:
        """What the folder says; None if it was not fetched."""
        try:
            lines = (folder / FETCHED).read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        return cls(*(line.strip() for line in [*lines, ""][:2])) if lines else None

    def write(self, folder: Path) -> None:
        """Say it in the folder."""
        (folder / FETCHED).write_text(f"{self.fingerprint}\n{self.origin}\n", encoding="utf-8")


def fetched_folder(folder: Path) -> Path | None:
    """The folder itself, or the one above it, that was fetched; None if none was."""
    return next((f for f in (folder, *folder.parents) if (f / FETCHED).is_file()), None)


def origins_of(paths: Sequence[Path], folder: Path) -> list[str | None]:
    """URIs that files below a folder came from; None where they came from no store."""
    root = fetched_folder(folder)
    fetched = Fetched.of(root) if root else None
    if root is None or fetched is None or not fetched.origin:
        return [None] * len(paths)
    return [f"{fetched.origin}/{path.relative_to(root).as_posix()}" for path in paths]


def is_stored(uri: str) -> bool:
    """Tell whether a URI names an object of a store, not a file."""
    return _SCHEME in uri


@dataclass
class _Kept:
    """The copy of the object that was read last: planes of one file are read after each other."""

    uri: str = ""
    folder: tempfile.TemporaryDirectory[str] | None = None


_kept = threading.local()


def plane_at(uri: str, index: int = 0) -> np.ndarray:
    """Pixels of one plane, as `pixels.read_plane` gives them, of a file here or an object.

    Raises
    ------
    ImageReadError
        If it can't be fetched or decoded, or has no such plane.
    """
    if not is_stored(uri):
        return read_plane(Path(uri), index)
    try:
        return read_plane(_copy_of(uri), index)
    except ImageReadError as error:
        raise ImageReadError(uri, error.reason) from error


def _copy_of(uri: str) -> Path:
    """A copy of an object, good until this thread asks for another one."""
    last: _Kept = _kept.__dict__.setdefault("last", _Kept())
    if last.uri != uri or last.folder is None:
        _drop(last)
        last.folder = tempfile.TemporaryDirectory(prefix="phenolake-object-")
        try:
            _fetch(uri, Path(last.folder.name))
        except Exception as error:  # every store has errors of its own
            _drop(last)
            reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
            raise ImageReadError(uri, f"can't be fetched from the store: {reason}") from error
        last.uri = uri
    return Path(last.folder.name, PurePosixPath(uri).name)


def stored_size(uri: str) -> int:
    """Bytes of an object, or of all objects below a folder such as an OME-Zarr array.

    Raises
    ------
    FileNotFoundError
        If the store has no such object.
    OSError
        If the store does not answer.
    """
    filesystem, path = _opened(uri)
    if not filesystem.exists(path):
        raise FileNotFoundError(uri)
    return int(filesystem.du(path))


def _fetch(uri: str, folder: Path) -> None:
    filesystem, path = _opened(uri)
    filesystem.get(path, str(folder / PurePosixPath(uri).name), recursive=filesystem.isdir(path))


def _opened(uri: str) -> tuple[Any, str]:
    import fsspec  # type: ignore[import-untyped]

    filesystem, path = fsspec.core.url_to_fs(uri)
    return filesystem, str(path)


def _drop(last: _Kept) -> None:
    if last.folder is not None:
        last.folder.cleanup()
    last.uri, last.folder = "", None
