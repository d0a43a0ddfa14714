"""Write a stream of rows to Parquet files of one Delta partition, in bounded memory.

The files stay invisible until a commit names them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import quote

import pyarrow as pa
import pyarrow.fs as arrow_fs
import pyarrow.parquet as pq

from phenolake.lake.location import Location
from phenolake.tables import Table

ROW_GROUP_BYTES = 64 << 20
FILE_BYTES = 1 << 30

_FILE_NAME = re.compile(r"(?:.*/)?\d{5}-([0-9a-f]{16})-[0-9a-f]{32}\.parquet")
_LONGEST_FOLDER = 240  # file systems allow 255 bytes


@dataclass(frozen=True)
class Part:
    """One finished file; `path` is relative to the table."""

    path: str
    rows: int
    bytes: int


def signature(columns: Sequence[str]) -> str:
    """16 hex digits that stand for a list of column names; part of every file's name."""
    return sha256("\0".join(columns).encode()).hexdigest()[:16]


def signature_of(path: str) -> str | None:
    """Signature in a file's name; None for files that another tool wrote."""
    match = _FILE_NAME.fullmatch(path)
    return match[1] if match else None


def partition_folder(where: Mapping[str, str]) -> str:
    """Folder of a partition as Hive names it, percent-encoded; a digest if that is too long."""
    folders = hive_folders(where)
    if all(len(folder) <= _LONGEST_FOLDER for folder in folders):
        return "/".join(folders)
    return f"long-names/{sha256(repr(sorted(where.items())).encode()).hexdigest()[:32]}"


def hive_folders(where: Mapping[str, str]) -> list[str]:
    """`column=value` of each partition column, percent-encoded."""
    return [f"{name}={quote(value, safe='')}" for name, value in where.items()]


@dataclass
class PartWriter:
    """Collects conformed rows into row groups and files of bounded size.

    Every file holds the partition columns too, so that it can be read alone. Rows with a column
    that the open file lacks start a new file.
    """

    location: Location
    filesystem: arrow_fs.FileSystem
    folder: str
    layout: Table | None = None
    parts: list[Part] = field(default_factory=list)
    schema: pa.Schema | None = None
    _pending: list[pa.Table] = field(default_factory=list)
    _pending_bytes: int = 0
    _writer: pq.ParquetWriter | None = None
    _sink: pa.NativeFile | None = None
    _path: str = ""
    _rows: int = 0

    def add(self, rows: pa.Table) -> None:
        """Take rows in; writes whenever a row group is full."""
        rows = self._with_known_columns(rows)
        if rows.num_rows == 0:
            return
        size = rows.nbytes
        step = -(-ROW_GROUP_BYTES * rows.num_rows // max(size, 1))
        for start in range(0, rows.num_rows, step):
            piece = rows.slice(start, step)
            self._pending.append(piece)
            self._pending_bytes += size * piece.num_rows // rows.num_rows
            if self._pending_bytes >= ROW_GROUP_BYTES:
                self._write_row_group()

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish the last file; after an error delete every file, since no commit names them yet."""
        try:
            if kind is None:
                self._close_file()
                return
        except BaseException:
            self._discard()
            raise
        self._discard()

    def _discard(self) -> None:
        paths = [part.path for part in self.parts]
        if self._sink is not None:
            paths.append(self._path)
            _quietly(self._sink.close)
        for path in paths:
            _quietly(self.filesystem.delete_file, path)

    def _with_known_columns(self, rows: pa.Table) -> pa.Table:
        if self.schema is None:
            self.schema = rows.schema
        known = frozenset(self.schema.names)
        new = [rows.schema.field(name) for name in rows.column_names if name not in known]
        if new:
            self._close_file()
            self.schema = pa.schema([*self.schema, *new])
        if rows.schema.names == self.schema.names:
            return rows
        present = frozenset(rows.column_names)
        arrays = [
            rows.column(f.name) if f.name in present else pa.nulls(rows.num_rows, f.type)
            for f in self.schema
        ]
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def _write_row_group(self) -> None:
        if not self._pending:
            return
        rows = pa.concat_tables(self._pending)
        self._pending, self._pending_bytes = [], 0
        with self.location.writing():
            if self._writer is None:
                self._open_file(rows.schema)
            self._writer.write_table(rows, row_group_size=rows.num_rows)  # type: ignore[union-attr]
        self._rows += rows.num_rows
        if self._sink is not None and self._sink.tell() >= FILE_BYTES:
            self._close_file()

    def _open_file(self, schema: pa.Schema) -> None:
        name = f"{len(self.parts):05d}-{signature(schema.names)}-{uuid.uuid4().hex}.parquet"
        self._path = f"{self.folder}/{name}" if self.folder else name
        if self.location.is_local:
            self.filesystem.create_dir(self.folder or ".", recursive=True)
        self._sink = self.filesystem.open_output_stream(self._path)
        self._writer = pq.ParquetWriter(self._sink, schema, **_tuning(schema, self.layout))
        self._rows = 0

    def _close_file(self) -> None:
        self._write_row_group()
        if self._writer is None or self._sink is None:
            return
        with self.location.writing():
            self._writer.close()
            size = self._sink.tell()
            self._sink.close()
        self.parts.append(Part(self._path, self._rows, size))
        self._writer = self._sink = None


def _tuning(schema: pa.Schema, table: Table | None) -> dict[str, object]:
    """Dictionaries and statistics for keys only: on features they cost much and find nothing."""
    declared = frozenset(table.column_names if table else schema.names)
    wide = table is not None and table.features is not None
    narrow = [f for f in schema if f.name in declared or not wide or f.name.startswith("Metadata_")]
    return {
        # Binary columns hold Zstandard frames already.
        "compression": {f.name: "none" if pa.types.is_binary(f.type) else "zstd" for f in schema},
        "use_dictionary": [f.name for f in narrow if pa.types.is_string(f.type)],
        "write_statistics": [f.name for f in narrow if not pa.types.is_binary(f.type)],
        "store_schema": False,
    }


def _quietly(action: object, *arguments: object) -> None:
    """Clean up without hiding the error that made it necessary."""
    try:
        action(*arguments)  # type: ignore[operator]
    except OSError:
        return
