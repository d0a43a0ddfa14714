"""DuckDB views over one consistent snapshot of the lake, in a connection that can only read it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from phenolake.errors import LakeError
from phenolake.lake.lineage import SCHEMAS, lineage_tables
from phenolake.lake.query import QueryLimits, settings_of
from phenolake.lake.snapshot import FileGroup, Snapshot
from phenolake.lake.snapshot_files import SCHEME, SnapshotFiles
from phenolake.tables import TABLES, Layer, Table

if TYPE_CHECKING:
    import duckdb

#: Where DuckDB finds a file: from (table's snapshot, path in the table) to a path it can open.
Locate = Callable[[Snapshot, str], str]


@dataclass(frozen=True)
class Source:
    """A table as SQL sees it: what exists of it, and what is declared."""

    layer: str
    name: str
    snapshot: Snapshot | None
    declared: Table | None

    @property
    def schema(self) -> pa.Schema:
        """Columns that exist, or the declared ones while nothing does."""
        if self.snapshot is not None:
            return self.snapshot.schema
        return self.declared.arrow_schema() if self.declared else pa.schema([])

    @property
    def partition_columns(self) -> list[str]:
        """Partition columns of what exists."""
        return self.snapshot.partition_columns if self.snapshot else []


def sources(present: Iterable[Snapshot]) -> list[Source]:
    """Every present table, and every declared one that does not exist yet."""
    found = {(snapshot.layer, snapshot.name): snapshot for snapshot in present}
    declared = {(str(table.layer), name): table for name, table in TABLES.items()}
    return [
        Source(layer, name, found.get((layer, name)), declared.get((layer, name)))
        for layer, name in sorted(found.keys() | declared.keys())
    ]


def connect_read_only(tables: Iterable[Source], limits: QueryLimits) -> duckdb.DuckDBPyConnection:
    """Open a locked connection with a view for each table.

    The views live in a DuckDB file opened read-only; storage is reachable only through
    `SnapshotFiles`, and the configuration can't be changed any more.
    """
    import duckdb

    tables = list(tables)
    snapshots = [table.snapshot for table in tables if table.snapshot is not None]
    active = {
        f"{s.layer}/{s.name}/{path}": (s.filesystem, path) for s in snapshots for path in s.paths()
    }
    lineage = lineage_tables(snapshots)
    empty = {name: partial(pl.DataFrame, schema=schema) for name, schema in SCHEMAS.items()}
    with tempfile.TemporaryDirectory(prefix="phenolake-", ignore_cleanup_errors=True) as folder:
        path = Path(folder, "lake.duckdb")
        with duckdb.connect(str(path)) as connection:
            # Making a view reads its columns only: logs are read when a query asks for them.
            connection.register_filesystem(SnapshotFiles(active, _as_parquet(empty)))
            create_views(connection, tables, _virtual_path)
            _create_lineage_views(connection)
        spill = Path(tempfile.gettempdir(), "phenolake-spill")
        connection = duckdb.connect(
            str(path), read_only=True, config={"temp_directory": str(spill)}
        )
    # The open connection keeps the deleted file; nothing is left behind when it closes.
    connection.register_filesystem(SnapshotFiles(active, _as_parquet(lineage)))
    for setting in (
        *settings_of(limits),
        f"allowed_directories = ['{SCHEME}://']",
        "enable_external_access = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "lock_configuration = true",
    ):
        connection.execute(f"set {setting}")
    return connection


def _create_lineage_views(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("create schema lineage")
    for name in SCHEMAS:
        file = text(f"{SCHEME}://{_lineage_file(name)}")
        connection.execute(f"create view lineage.{name} as select * from read_parquet({file})")


def _as_parquet(
    frames: Mapping[str, Callable[[], pl.DataFrame]],
) -> dict[str, Callable[[], pa.Buffer]]:
    """Give each frame as the bytes of a Parquet file, made when they are asked for."""

    def written(frame: Callable[[], pl.DataFrame]) -> pa.Buffer:
        sink = pa.BufferOutputStream()
        pq.write_table(frame().to_arrow(), sink)
        return sink.getvalue()

    return {_lineage_file(name): partial(written, frame) for name, frame in frames.items()}


def _lineage_file(name: str) -> str:
    return f"lineage/{name}.parquet"


def create_views(
    connection: duckdb.DuckDBPyConnection,
    tables: Iterable[Source],
    locate: Locate,
    kind: str = "view",
) -> None:
    """Create a view (or, with `kind="table"`, a copy) of each table in the schema of its layer."""
    for layer in Layer:
        connection.execute(f"create schema if not exists {quoted(layer)}")
    for table in tables:
        connection.execute(
            f"create or replace {kind} {quoted(table.layer)}.{quoted(table.name)} as "
            f"{select(connection, table, locate)}"
        )


def select(connection: duckdb.DuckDBPyConnection, table: Source, locate: Locate) -> str:
    """Write the SQL that reads a table's active files; columns a file lacks are null."""
    columns = duckdb_types(connection, table.schema)
    if not columns:
        raise LakeError(f"table {table.name!r} has no columns")
    snapshot = table.snapshot
    groups = snapshot.groups() if snapshot is not None else []
    if snapshot is None or not groups:
        return f"select {_select_list(columns, held=())} where false"
    return " union all ".join(
        _select_group(
            group, columns, table.partition_columns, [locate(snapshot, p) for p in group.paths]
        )
        for group in groups
    )


def _select_group(
    group: FileGroup, columns: Mapping[str, str], partitions: list[str], files: list[str]
) -> str:
    held = {*group.columns, *(partitions if group.hive else ())}
    hive = "false"
    if group.hive and partitions:
        types = ", ".join(f"{text(name)}: varchar" for name in partitions)
        hive = f"true, hive_types = {{{types}}}"
    listed = ", ".join(text(file) for file in files)
    return (
        f"select {_select_list(columns, held)} "
        f"from read_parquet([{listed}], hive_partitioning = {hive})"
    )


def _select_list(columns: Mapping[str, str], held: Iterable[str]) -> str:
    held = frozenset(held)
    return ", ".join(
        quoted(name) if name in held else f"cast(null as {dtype}) as {quoted(name)}"
        for name, dtype in columns.items()
    )


def duckdb_types(connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> dict[str, str]:
    """DuckDB type of each Arrow field, as DuckDB itself maps it."""
    relation = connection.from_arrow(schema.empty_table())
    return dict(zip(schema.names, map(str, relation.types), strict=True))


def quoted(identifier: str) -> str:
    """Write an SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """Write an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def _virtual_path(snapshot: Snapshot, path: str) -> str:
    return f"{SCHEME}://{snapshot.layer}/{snapshot.name}/{path}"
