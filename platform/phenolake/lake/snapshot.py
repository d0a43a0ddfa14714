"""One version of one Delta table: its schema, its active files and the columns each holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as arrow_fs
import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

from phenolake.errors import LakeError, TableSchemaError
from phenolake.lake.location import Location
from phenolake.lake.parquet_parts import signature, signature_of
from phenolake.tables import TABLES

if TYPE_CHECKING:
    import pyarrow.dataset as arrow_dataset

#: Column names by signature; a signature names its columns, so this never goes stale.
_COLUMNS: dict[str, tuple[str, ...]] = {}

#: What other tools may use, by which a file alone no longer tells its rows.
_UNREADABLE = frozenset({"columnMapping", "deletionVectors"})


@dataclass(frozen=True)
class FileGroup:
    """Active files with the same columns; `hive` if their folders tell the partition exactly."""

    columns: tuple[str, ...]
    hive: bool
    paths: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A Delta table held at one version.

    Attributes
    ----------
    delta
        For who commits, and moves it on to later versions by that; all else stays as it is.
    version
        Delta version.
    stored
        Columns that the table was written with.
    partition_columns
        Columns that the table is partitioned by.
    files
        The active files: `path` (percent-encoded), `size_bytes`, `num_records` and a
        `partition.<column>` for each partition column.
    """

    location: Location
    layer: str
    name: str
    delta: DeltaTable
    version: int
    stored: Schema
    partition_columns: list[str]
    files: pa.Table

    @classmethod
    def of(cls, location: Location, layer: str, name: str, delta: DeltaTable) -> Snapshot:
        """Hold the version that `delta` has loaded.

        Raises
        ------
        LakeError
            If another tool wrote the table in a way that can't be read here.
        """
        used = _UNREADABLE.intersection(delta.protocol().reader_features or ())
        if used:
            raise LakeError(
                f"table {name!r} was written by another tool with {' and '.join(sorted(used))}, "
                "which can't be read; write it without"
            )
        partitions = list(delta.metadata().partition_columns)
        told = ["path", "size_bytes", "num_records", *(f"partition.{name}" for name in partitions)]
        files = pa.table(delta.get_add_actions(flatten=True)).select(told)
        return cls(location, layer, name, delta, delta.version(), delta.schema(), partitions, files)

    @classmethod
    def open(
        cls, location: Location, layer: str, name: str, version: int | None = None
    ) -> Snapshot | None:
        """Open the newest or a given version; None when the table does not exist.

        Raises
        ------
        LakeError
            If the table has no such version.
        """
        uri = f"{location.uri}/{layer}/{name}"
        try:
            delta = DeltaTable(uri, version=version, storage_options=dict(location.options))
        except TableNotFoundError:
            return None
        except DeltaError as error:
            if version is None:
                raise
            newest = DeltaTable(uri, storage_options=dict(location.options)).version()
            raise LakeError(
                f"table {name!r} can't be read at version {version}; its newest version is {newest}"
            ) from error
        return cls.of(location, layer, name, delta)

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns of the table, then declared ones that it was written without."""
        stored = pa.schema(self.stored.to_arrow())
        declared = TABLES.get(self.name)
        newer = declared.arrow_schema() if declared and declared.layer == self.layer else ()
        return pa.schema([*stored, *(f for f in newer if f.name not in stored.names)])

    @property
    def uri(self) -> str:
        """URI of the table."""
        return f"{self.location.uri}/{self.layer}/{self.name}"

    @cached_property
    def filesystem(self) -> arrow_fs.FileSystem:
        """File system rooted at the table."""
        return self.location.filesystem(self.layer, self.name)

    def paths(self, where: Mapping[str, str] | None = None) -> list[str]:
        """Active files that can hold rows of `where`, relative to the table, in writing order."""
        # The log holds percent-encoded paths.
        return sorted(map(unquote, self.files_of(where).column("path").to_pylist()))

    def files_of(self, where: Mapping[str, str] | None = None) -> pa.Table:
        """Those of `files` that can hold rows of `where`."""
        found = self.files
        for name, value in (where or {}).items():
            if name in self.partition_columns:
                found = found.filter(pc.equal(found.column(f"partition.{name}"), value))
        return found

    def groups(self, where: Mapping[str, str] | None = None) -> list[FileGroup]:
        """Active files by the columns they hold; reads one footer for each new set of columns."""
        found: dict[tuple[tuple[str, ...], bool], list[str]] = {}
        for path in self.paths(where):
            folders = [folder.partition("=")[0] for folder in path.split("/")[:-1]]
            hive = folders == self.partition_columns
            found.setdefault((self._columns_of(path), hive), []).append(path)
        return [FileGroup(columns, hive, tuple(paths)) for (columns, hive), paths in found.items()]

    def columns(self, where: Mapping[str, str] | None = None) -> list[str]:
        """Columns of the table that some file of `where` holds, in the table's order."""
        held = set(self.partition_columns)
        for group in self.groups(where):
            held.update(group.columns)
        return [name for name in self.schema.names if name in held]

    def dataset(self, where: Mapping[str, str] | None = None) -> arrow_dataset.Dataset:
        """Arrow dataset over the files that can hold rows of `where`, in writing order."""
        import pyarrow.dataset as arrow_dataset

        whole_chunks = arrow_dataset.ParquetFragmentScanOptions(pre_buffer=True)
        parquet = arrow_dataset.ParquetFileFormat(default_fragment_scan_options=whole_chunks)
        fragments = [
            parquet.make_fragment(
                unquote(file["path"]), self.filesystem, self._partition_expression(file)
            )
            for file in self.files_of(where).to_pylist()
        ]
        return arrow_dataset.FileSystemDataset(
            sorted(fragments, key=lambda fragment: fragment.path),
            self.schema,
            parquet,
            self.filesystem,
        )

    def check_columns(self, names: Sequence[str]) -> None:
        """Refuse names that are no column of this table; offers the closest."""
        for name in names:
            if name not in self.schema.names:
                close = get_close_matches(name, self.schema.names, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise TableSchemaError(self.name, f"no column {name!r}{hint}")

    def _partition_expression(self, file: Mapping[str, object]) -> pc.Expression:
        expression = pc.scalar(True)
        for name in self.partition_columns:
            value = file[f"partition.{name}"]
            field = pc.field(name)
            expression &= field.is_null() if value is None else field == pc.scalar(value)
        return expression

    def _columns_of(self, path: str) -> tuple[str, ...]:
        named = signature_of(path)
        if named in _COLUMNS:
            return _COLUMNS[named]
        with self.filesystem.open_input_file(path) as source:
            columns = tuple(pq.read_schema(source).names)
        if named == signature(columns):
            _COLUMNS[named] = columns
        return columns
