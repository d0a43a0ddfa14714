"""A read-only file system for DuckDB that knows the active files of one lake snapshot and no other.

DuckDB gets no other access to storage, so no query can read, write or list anything else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.fs as arrow_fs
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

SCHEME = "phenolake"

#: Files of a lake never change, so any fixed time will do for caches.
_MODIFIED = datetime(2000, 1, 1, tzinfo=UTC)


class SnapshotFiles(AbstractFileSystem):
    """Maps `phenolake://<layer>/<table>/<path>` to files of the lake."""

    protocol = SCHEME
    cachable = False

    def __init__(
        self,
        files: Mapping[str, tuple[arrow_fs.FileSystem, str]],
        made: Mapping[str, Callable[[], pa.Buffer]] | None = None,
    ) -> None:
        super().__init__()
        self._files = files
        # Files that are no files: their content is made when a query first asks for it.
        self._made = dict(made or {})
        self._content: dict[str, pa.Buffer] = {}
        self._making = threading.Lock()
        self._sizes: dict[str, int] = {}

    def open(self, path: str, mode: str = "rb", **_: Any) -> SnapshotFile:
        """Open an active file for reading; any other mode is refused."""
        if mode != "rb":
            raise PermissionError("SQL can't write to the lake")
        if self._key(path) in self._made:
            return SnapshotFile(pa.BufferReader(self._contents(path)))
        filesystem, inside = self._locate(path)
        return SnapshotFile(filesystem.open_input_file(inside))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Size and type of an active file."""
        if self._key(path) in self._made:
            return {"name": path, "size": self._contents(path).size, "type": "file"}
        if path not in self._sizes:
            filesystem, inside = self._locate(path)
            self._sizes[path] = filesystem.get_file_info(inside).size
        return {"name": path, "size": self._sizes[path], "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        """Tell whether the path is an active file."""
        return self._key(path) in self._files or self._key(path) in self._made

    isfile = exists

    def isdir(self, path: str) -> bool:
        """There are no folders."""
        return False

    def modified(self, path: str) -> datetime:
        """Give a fixed time: an active file never changes."""
        return _MODIFIED

    def glob(self, path: str, **_: Any) -> list[str]:
        """Find the file itself; patterns match nothing."""
        return [path] if self.exists(path) else []

    def _refuse(self, *_: Any, **__: Any) -> None:
        raise PermissionError("SQL can't write to the lake")

    mkdir = makedirs = rmdir = rm = rm_file = _rm = mv = move = cp_file = touch = _refuse

    def _contents(self, path: str) -> pa.Buffer:
        key = self._key(path)
        with self._making:
            if key not in self._content:
                self._content[key] = self._made[key]()
            return self._content[key]

    def _locate(self, path: str) -> tuple[arrow_fs.FileSystem, str]:
        try:
            return self._files[self._key(path)]
        except KeyError:
            raise FileNotFoundError(path) from None

    @staticmethod
    def _key(path: str) -> str:
        return path.removeprefix(f"{SCHEME}://")


class SnapshotFile:
    """A file with a position for each thread, since DuckDB seeks and reads in two steps."""

    def __init__(self, source: pa.NativeFile) -> None:
        self._source = source
        self._local = threading.local()

    @cached_property
    def size(self) -> int:
        """Bytes in the file."""
        return int(self._source.size())

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move this thread's position."""
        base = (0, self.tell(), self.size)[whence]
        self._local.position = base + offset
        return int(self._local.position)

    def tell(self) -> int:
        """Return this thread's position."""
        return int(getattr(self._local, "position", 0))

    def read(self, size: int = -1) -> bytes:
        """Read from this thread's position and move it."""
        start = self.tell()
        data = self._source.read_at(self.size - start if size < 0 else size, start)
        self._local.position = start + len(data)
        return bytes(data)

    def write(self, data: bytes) -> int:
        """Refuse."""
        raise PermissionError("SQL can't write to the lake")

    def flush(self) -> None:
        """Do nothing: there is nothing to write."""

    def close(self) -> None:
        """Close the file."""
        self._source.close()
