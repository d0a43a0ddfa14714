"""Replace one partition of a Delta table in one atomic commit, however many others write.

Parquet files are written first; `commits` then makes them the partition's rows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, create_table_with_add_actions

from phenolake.errors import TableSchemaError
from phenolake.lake.commits import Commit, commit_and_confirm
from phenolake.lake.conform import conform, storable
from phenolake.lake.location import Location
from phenolake.lake.newest import newest_to_write
from phenolake.lake.parquet_parts import ROW_GROUP_BYTES, Part, PartWriter, partition_folder
from phenolake.lake.row_stream import as_tables, gathered
from phenolake.lake.snapshot import Snapshot
from phenolake.tables import Layer, Table

_CONFIGURATION = {
    # Keep every version readable for as long as its files are; vacuum is a deliberate step.
    "delta.enableExpiredLogCleanup": "false",
    # Opening a table reads every commit since the last checkpoint.
    "delta.checkpointInterval": "20",
}


@dataclass(frozen=True)
class Target:
    """The partition that a commit replaces; a table without partitions is replaced whole."""

    location: Location
    layer: str
    name: str
    where: Mapping[str, str]
    keeps_schema: bool = True

    @property
    def uri(self) -> str:
        """URI of the table."""
        return f"{self.location.uri}/{self.layer}/{self.name}"

    @property
    def lock(self) -> str:
        """Transaction id of the partition: two commits that carry it can't both win one version."""
        return json.dumps(["phenolake", dict(self.where)], sort_keys=True)


def replace_partition(
    location: Location, table: Table, rows: Any, where: Mapping[str, str], metadata: dict[str, str]
) -> Commit:
    """Make `rows` the only rows of the partition `where`; see `Lake.write`."""
    started = time.perf_counter()
    _check_where(table, where)
    where = {name: where[name] for name in table.partition_by}
    target = Target(location, str(table.layer), table.name, where)
    existing = newest_to_write(location, target.layer, table.name)
    known = _undeclared(existing.schema, table) if existing else {}
    writer = PartWriter(
        location, location.filesystem(target.layer, table.name), partition_folder(where), table
    )
    with writer:
        for piece in gathered(as_tables(rows), ROW_GROUP_BYTES):
            conformed = conform(piece, table, where, known)
            writer.add(conformed)
            known.update(_undeclared(conformed.schema, table))
    schema = _table_schema(table, writer.schema)
    version = commit(target, schema, writer.parts, metadata, existing)
    return _receipt(target, version, writer.parts, started)


def replace_mart(location: Location, name: str, rows: Any, metadata: dict[str, str]) -> Commit:
    """Make `rows` the only rows and columns of a mart."""
    started = time.perf_counter()
    target = Target(location, str(Layer.MARTS), name, {}, keeps_schema=False)
    table = storable(pa.table(rows), name)
    writer = PartWriter(location, location.filesystem(target.layer, name), "")
    with writer:
        writer.add(table)
    version = commit(target, table.schema, writer.parts, metadata)
    return _receipt(target, version, writer.parts, started)


def commit(
    target: Target,
    schema: pa.Schema,
    parts: list[Part],
    metadata: dict[str, str],
    known: Snapshot | None = None,
) -> int:
    """Commit the files as the new content of the partition; returns the Delta version.

    Parameters
    ----------
    known
        An earlier snapshot of the table; brought up to date, it saves loading the table again.

    Raises
    ------
    LakeError
        If other writers of the same partition won every attempt.
    """

    def act(snapshot: Snapshot | None, said: dict[str, str]) -> None:
        _commit_once(target, snapshot, schema, parts, said)

    return commit_and_confirm(
        target.location, target.layer, target.name, metadata, act, dict(target.where), known
    )


def _commit_once(
    target: Target,
    snapshot: Snapshot | None,
    schema: pa.Schema,
    parts: list[Part],
    metadata: dict[str, str],
) -> None:
    options = dict(target.location.options)
    adds = add_actions(parts, target.where)
    if snapshot is None:
        try:
            create_table_with_add_actions(
                target.uri,
                Schema.from_arrow(schema),
                adds,
                mode="error",
                partition_by=list(target.where),
                configuration=_CONFIGURATION,
                storage_options=options,
                commit_properties=_properties(target, metadata, None),
            )
        except DeltaError as error:
            # Lost the race to create the table: as any lost race, try again on what is there now.
            if Snapshot.open(target.location, target.layer, target.name) is None:
                raise
            raise CommitFailedError(str(error)) from error
        return
    delta = snapshot.delta
    delta.create_write_transaction(
        [*adds],
        mode="overwrite",
        schema=_merged(delta.schema(), schema, target)
        if target.keeps_schema
        else Schema.from_arrow(schema),
        partition_by=list(target.where),
        partition_filters=[(name, "=", value) for name, value in target.where.items()] or None,
        commit_properties=_properties(target, metadata, delta),
    )


def add_actions(
    parts: Iterable[Part], where: Mapping[str, str], *, data_change: bool = True
) -> list[AddAction]:
    """Delta's words for finished files that hold rows of one partition."""
    return [
        AddAction(
            path=part.path,
            size=part.bytes,
            partition_values=dict(where),
            modification_time=int(time.time() * 1000),
            data_change=data_change,
            stats=json.dumps({"numRecords": part.rows}),
        )
        for part in parts
    ]


def _properties(
    target: Target, metadata: dict[str, str], delta: DeltaTable | None
) -> CommitProperties:
    # Delta sees two overwrites of the same existing files as a conflict, but not two first writes
    # of a partition. The transaction id makes those conflict too.
    last = delta.transaction_version(target.lock) if delta is not None else None
    return CommitProperties(
        custom_metadata=metadata,
        max_commit_retries=50,
        app_transactions=[Transaction(target.lock, (last or 0) + 1)],
    )


def _merged(existing: Schema, new: pa.Schema, target: Target) -> Schema:
    """Add new fields after the table's own, as nullable, since older rows lack them."""
    fields = {field.name: field for field in existing.fields}
    for field in Schema.from_arrow(new).fields:
        if field.name not in fields:
            nullable = pa.schema([new.field(field.name).with_nullable(True)])
            fields[field.name] = Schema.from_arrow(nullable).fields[0]
        elif fields[field.name].type != field.type:
            raise TableSchemaError(
                target.name,
                f"column {field.name!r} is {fields[field.name].type} in the lake, not {field.type}",
            )
        elif field.nullable:
            fields[field.name] = field
    return Schema(list(fields.values()))


def _receipt(target: Target, version: int, parts: list[Part], started: float) -> Commit:
    return Commit(
        target.name,
        version,
        sum(part.rows for part in parts),
        sum(part.bytes for part in parts),
        time.perf_counter() - started,
    )


def _check_where(table: Table, where: Mapping[str, str]) -> None:
    if set(where) != set(table.partition_by):
        raise TableSchemaError(
            table.name,
            f"`where` must name {', '.join(table.partition_by)}; got {', '.join(where) or 'none'}",
        )
    for name, value in where.items():
        if not isinstance(value, str) or not value:
            raise TableSchemaError(table.name, f"partition {name!r} must be a text; got {value!r}")


def _undeclared(schema: pa.Schema, table: Table) -> dict[str, pa.DataType]:
    declared = frozenset(table.column_names)
    return {field.name: field.type for field in schema if field.name not in declared}


def _table_schema(table: Table, written: pa.Schema | None) -> pa.Schema:
    declared = frozenset(table.column_names)
    return table.arrow_schema(f for f in written or () if f.name not in declared)
