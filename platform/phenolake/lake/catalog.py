"""A DuckDB file for other clients (dbt, BI tools) whose schemas answer from the lake's tables."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from phenolake.errors import ConfigurationError
from phenolake.lake.snapshot import Snapshot
from phenolake.lake.views import Source, create_views, quoted
from phenolake.tables import Layer

if TYPE_CHECKING:
    import duckdb

    from phenolake.lake.store import Lake

_LAYERS = (Layer.BRONZE, Layer.SILVER, Layer.GOLD)


def write_catalog(lake: Lake, path: Path, *, layers: Collection[Layer] = _LAYERS) -> dict[str, int]:
    """Write a DuckDB file with bronze, silver and gold over the lake as it is now.

    A local lake gives views over its active files, so the catalogue is small and is to be written
    again after new commits. A lake on S3 gives copies, because other clients have no access to the
    bucket from here; binary columns and single-cell features are left out of copies. The schema
    `marts` is made empty unless `layers` names it. An existing file is replaced at once.

    Returns
    -------
    dict
        Version of each table that the file shows.

    Raises
    ------
    ConfigurationError
        If `path` is a folder.
    """
    import duckdb

    tables = [table for table in lake.sources() if table.layer in layers]
    path = Path(path)
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder; name the DuckDB file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with duckdb.connect(str(draft)) as connection:
            if lake.location.is_local:
                create_views(connection, tables, _local_path)
            else:
                _copy(connection, lake, tables)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return {table.name: table.snapshot.version for table in tables if table.snapshot is not None}


def _local_path(snapshot: Snapshot, path: str) -> str:
    """Absolute path; characters that DuckDB takes for patterns stand for themselves."""
    absolute = str(Path(snapshot.location.uri, snapshot.layer, snapshot.name, path))
    return re.sub(r"[*?\[]", r"[\g<0>]", absolute)


def _copy(connection: duckdb.DuckDBPyConnection, lake: Lake, tables: list[Source]) -> None:
    with lake.connect() as reader:
        for layer in Layer:
            connection.execute(f"create schema {quoted(layer)}")
        for table in tables:
            kept = [field.name for field in table.schema if _is_copied(field, table)]
            columns = ", ".join(quoted(name) for name in kept)
            name = f"{quoted(table.layer)}.{quoted(table.name)}"
            rows = reader.sql(f"select {columns} from {name}").to_arrow_reader()
            connection.register("rows", rows)
            connection.execute(f"create table {name} as select * from rows")
            connection.unregister("rows")


def _is_copied(field: pa.Field, table: Source) -> bool:
    if pa.types.is_binary(field.type):
        return False
    if table.layer != Layer.SILVER or table.declared is None:
        return True
    return field.name in table.declared.column_names
