"""The lake: write, read and query its Delta tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.fs as arrow_fs

from phenolake.errors import ConfigurationError, LakeError, TableMissingError
from phenolake.lake.commits import Commit
from phenolake.lake.delta_writer import replace_mart, replace_partition
from phenolake.lake.location import Location
from phenolake.lake.log import commits
from phenolake.lake.newest import newest
from phenolake.lake.query import QueryLimits, answer
from phenolake.lake.restoration import restore_partition
from phenolake.lake.scan import lazy_frame, row_group_batches
from phenolake.lake.snapshot import Snapshot
from phenolake.tables import TABLES, Layer, Table

if TYPE_CHECKING:
    import duckdb

    from phenolake.lake.views import Source

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Lake:
    """Delta tables below one folder or `s3://bucket/prefix`, by layer: bronze, silver, gold, marts.

    Making one touches nothing; it pickles, so worker processes can have it.

    Parameters
    ----------
    uri
        Local folder, or `s3://bucket/prefix`.
    storage_options
        Passed to deltalake. What they lack is read from the AWS_* environment variables.

    Attributes
    ----------
    versions_read
        Newest version of each table whose rows were asked of this object.

    Raises
    ------
    LakeLocationError
        If the URI has an unknown scheme.
    """

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        self.location = Location.parse(uri, storage_options)
        self.versions_read: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"Lake({self.uri!r})"

    @property
    def uri(self) -> str:
        """Absolute folder, or ``s3://bucket/prefix``."""
        return self.location.uri

    def validate(self) -> None:
        """Make sure that the lake can be written; makes the folder.

        Raises
        ------
        LakeLocationError
            If the URI is a file, or can't be made or written.
        """
        self.location.validate()

    def table_uri(self, name: str) -> str:
        """URI of a table, whether it exists or not; an undeclared name is a mart."""
        return f"{self.uri}/{self._layer(name)}/{name}"

    def exists(self, name: str) -> bool:
        """Tell whether the table has a version."""
        return newest(self.location, self._layer(name), name) is not None

    def write(
        self,
        table: Table,
        rows: Any,
        where: Mapping[str, str],
        *,
        run_id: str = "",
        code_version: str = "",
        parameters: Mapping[str, object] | None = None,
        inputs: Mapping[str, int] | None = None,
    ) -> Commit:
        """Replace the rows of one partition in one atomic commit, streamed in bounded memory.

        Parameters
        ----------
        table
            Declaration of the table. Declared columns are cast and put first; missing nullable ones
            become null; other columns must be accepted by `table.accepts`.
        rows
            A polars frame, an Arrow table, or an iterator of record batches, tables or frames. No
            rows at all empties the partition.
        where
            Value of every partition column; rows may lack these columns or must agree.
        run_id, code_version, parameters
            Kept in the commit as `phenolake_run_id`, `phenolake_code_version` and
            `phenolake_parameters` (JSON); `history` shows them.
        inputs
            Versions of the tables that the rows were made from; kept as `phenolake_inputs`.

        Raises
        ------
        TableSchemaError
            If the rows or `where` don't fit the declaration; nothing is changed.
        LakeLocationError
            If the lake can't be written.
        """
        _checked_identifier(table.name)
        metadata = {
            "phenolake_run_id": run_id,
            "phenolake_code_version": code_version,
            "phenolake_parameters": json.dumps(dict(parameters or {}), default=str, sort_keys=True),
            "phenolake_partition": json.dumps(dict(where), default=str, sort_keys=True),
            "phenolake_table_version": str(table.version),
            "phenolake_inputs": json.dumps(dict(inputs or {}), sort_keys=True),
        }
        return replace_partition(self.location, table, rows, where, metadata)

    def write_mart(
        self,
        name: str,
        arrow_table: Any,
        *,
        run_id: str = "",
        code_version: str = "",
        inputs: Mapping[str, int] | None = None,
    ) -> Commit:
        """Replace a mart, rows and columns, in one atomic commit; arguments as in `write`.

        Raises
        ------
        ConfigurationError
            If the name is no lower-case identifier, or a declared table has it.
        """
        _checked_identifier(name)
        if name in TABLES:
            raise ConfigurationError(f"mart {name!r}: a {TABLES[name].layer} table has this name")
        metadata = {
            "phenolake_run_id": run_id,
            "phenolake_code_version": code_version,
            "phenolake_inputs": json.dumps(dict(inputs or {}), sort_keys=True),
        }
        return replace_mart(self.location, name, arrow_table, metadata)

    def restore(
        self,
        name: str,
        version: int,
        where: Mapping[str, str] | None = None,
        *,
        run_id: str = "",
    ) -> Commit:
        """Make the rows of a version the newest ones again, in one commit that rewrites no file.

        Parameters
        ----------
        where
            Only these partitions, such as one plate; default: the whole table.

        Raises
        ------
        LakeError
            If the table has no such version, or maintenance has deleted files of it.
        TableSchemaError
            If `where` names a column that the table is not partitioned by.
        """
        metadata = {"phenolake_run_id": run_id}
        return restore_partition(
            self.location, self._layer(name), name, version, where or {}, metadata
        )

    def table(self, name: str, version: int | None = None) -> pl.LazyFrame:
        """Lazy frame over one version of a table.

        Raises
        ------
        TableMissingError
            If the table does not exist.
        LakeError
            If it has no such version.
        """
        snapshot = self._reading(name, version)
        return lazy_frame(snapshot)

    def read(
        self,
        name: str,
        where: Mapping[str, str] | None = None,
        version: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Rows of a table in the order they were written.

        Without `columns`, features that no row of the selection has are left out: they belong to
        other screens. Null means not measured; NaN means measured but undefined, and stays.

        Raises
        ------
        TableMissingError
            If the table does not exist.
        TableSchemaError
            If `where` or `columns` names a column that the table does not have.
        """
        snapshot = self._reading(name, version)
        chosen = self._columns(snapshot, where, columns)
        rows = lazy_frame(snapshot, where)
        for column, value in (where or {}).items():
            rows = rows.filter(pl.col(column) == value)
        with _kept_files(snapshot):
            frame = rows.select(chosen).collect()
        if columns is not None:
            return frame
        unmeasured = [
            column
            for column in frame.columns
            if self._is_feature(name, column) and frame[column].null_count() == frame.height
        ]
        return frame.drop(unmeasured)

    def scan(
        self, name: str, where: Mapping[str, str] | None = None, version: int | None = None
    ) -> pl.LazyFrame:
        """Lazy frame over part of a table, without the feature columns that no file of it holds."""
        snapshot = self._reading(name, version)
        chosen = self._columns(snapshot, where, None)
        rows = lazy_frame(snapshot, where)
        for column, value in (where or {}).items():
            rows = rows.filter(pl.col(column) == value)
        return rows.select(chosen)

    def batches(
        self,
        name: str,
        where: Mapping[str, str] | None = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Rows of a table in the order they were written, a part at a time in bounded memory.

        Columns that no file of the selection holds are left out unless `columns` names them.
        """
        snapshot = self._reading(name, version)
        chosen = self._columns(snapshot, where, columns)
        return row_group_batches(snapshot, where, chosen)

    def version(self, name: str) -> int:
        """Newest Delta version of a table."""
        return self._snapshot(name).version

    def history(self, name: str) -> list[dict[str, Any]]:
        """Return commits of a table, newest first, with what `write` kept about each."""
        snapshot = self._snapshot(name)
        return [c for c in commits(snapshot.filesystem) if c["version"] <= snapshot.version]

    def tables(self) -> list[tuple[str, str]]:
        """Layer and name of every table that exists, in the order of the layers."""
        root = self.location.filesystem()
        found = []
        for layer in Layer:
            entries = root.get_file_info(arrow_fs.FileSelector(str(layer), allow_not_found=True))
            names = sorted(e.base_name for e in entries if e.type == arrow_fs.FileType.Directory)
            logs = root.get_file_info([f"{layer}/{name}/_delta_log" for name in names])
            found += [
                (str(layer), name)
                for name, log in zip(names, logs, strict=True)
                if log.type == arrow_fs.FileType.Directory and _NAME.fullmatch(name)
            ]
        return found

    def sources(self, versions: Mapping[str, int] | None = None) -> list[Source]:
        """Every table as SQL sees it, held at its newest or the given version."""
        from phenolake.lake.views import sources

        versions = dict(versions or {})
        snapshots = [
            self._at(layer, name, versions.pop(name, None)) for layer, name in self.tables()
        ]
        for name in versions:
            raise TableMissingError(name, self.uri)
        return sources(snapshot for snapshot in snapshots if snapshot is not None)

    def connect(
        self, versions: Mapping[str, int] | None = None, limits: QueryLimits | None = None
    ) -> duckdb.DuckDBPyConnection:
        """DuckDB connection with a view of every table, that can read the lake and nothing else.

        Schemas are bronze, silver, gold and marts, and `lineage` for what made their rows. All
        views stay at the versions of now, or at those given. Declared tables that do not exist yet
        are empty views.
        """
        from phenolake.lake.views import connect_read_only

        return connect_read_only(self.sources(versions), limits or QueryLimits())

    def sql(
        self,
        query: str,
        versions: Mapping[str, int] | None = None,
        limits: QueryLimits | None = None,
    ) -> pl.DataFrame:
        """Answer of one read-only SQL statement.

        Raises
        ------
        QueryError
            If the text is not one reading statement, DuckDB refuses it, or it passes a limit.
        """
        limits = limits or QueryLimits()
        with self.connect(versions, limits) as connection:
            return answer(connection, query, limits)

    def _layer(self, name: str) -> str:
        _checked_identifier(name)
        if name in TABLES:
            return str(TABLES[name].layer)
        here = {table: layer for layer, table in self.tables()}
        return here.get(name, str(Layer.MARTS))

    def _snapshot(self, name: str, version: int | None = None) -> Snapshot:
        snapshot = self._at(self._layer(name), name, version)
        if snapshot is None:
            raise TableMissingError(name, self.uri)
        return snapshot

    def _at(self, layer: str, name: str, version: int | None) -> Snapshot | None:
        if version is None:
            return newest(self.location, layer, name)
        return Snapshot.open(self.location, layer, name, version)

    def _reading(self, name: str, version: int | None = None) -> Snapshot:
        snapshot = self._snapshot(name, version)
        self.versions_read[name] = snapshot.version
        return snapshot

    def _columns(
        self, snapshot: Snapshot, where: Mapping[str, str] | None, columns: Sequence[str] | None
    ) -> list[str]:
        snapshot.check_columns([*(where or ()), *(columns or ())])
        if columns is not None:
            return list(columns)
        held = frozenset(snapshot.columns(where))
        return [
            name
            for name in snapshot.schema.names
            if name in held or not self._is_feature(snapshot.name, name)
        ]

    @staticmethod
    def _is_feature(table: str, column: str) -> bool:
        declared = TABLES.get(table)
        if declared is None or declared.features is None:
            return False
        return column not in declared.column_names and not column.startswith("Metadata_")


@contextmanager
def _kept_files(snapshot: Snapshot) -> Iterator[None]:
    """Say that a version is too old, where its files were deleted by maintenance."""
    try:
        yield
    except FileNotFoundError as error:
        raise LakeError(
            f"table {snapshot.name!r}: version {snapshot.version} is older than what is kept; "
            "maintenance has deleted files of it"
        ) from error


def _checked_identifier(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"table name {name!r}: use lower-case letters, digits and underscores, a letter first"
        )
    return name
