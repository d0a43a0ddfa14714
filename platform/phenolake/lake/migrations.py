"""Bring tables that an older release wrote to today's declarations, each in one commit.

A change of `Table.version` needs a `Migration` here; new nullable columns need neither.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, Schema
from deltalake.transaction import AddAction

from phenolake.errors import LakeError
from phenolake.lake.commits import commit_and_confirm
from phenolake.lake.conform import conform
from phenolake.lake.delta_writer import add_actions
from phenolake.lake.lineage import commit_frame, current_partitions
from phenolake.lake.parquet_parts import PartWriter, partition_folder
from phenolake.lake.scan import row_group_batches
from phenolake.lake.snapshot import Snapshot
from phenolake.tables import TABLES, Table

if TYPE_CHECKING:
    from phenolake.lake.store import Lake


@dataclass(frozen=True)
class Migration:
    """How rows of version `to_version - 1` of a table become rows of `to_version`."""

    table: str
    to_version: int
    change: Callable[[pl.DataFrame], pl.DataFrame]


#: Every table is still at its first version.
MIGRATIONS: tuple[Migration, ...] = ()


@dataclass(frozen=True)
class Migrated:
    """A table that was brought to a newer declaration."""

    table: str
    from_version: int
    to_version: int
    rows: int
    version: int


def outdated(lake: Lake) -> Iterator[tuple[Snapshot, Table, int]]:
    """Declared tables that hold a partition of an older version, and the oldest such version.

    Raises
    ------
    LakeError
        If a newer release wrote a table.
    """
    for layer, name in lake.tables():
        declared = TABLES.get(name)
        snapshot = Snapshot.open(lake.location, layer, name)
        if declared is None or snapshot is None:
            continue
        versions = current_partitions(commit_frame(snapshot))["table_version"].drop_nulls()
        oldest, newest = (int(str(v)) for v in (versions.min() or 1, versions.max() or 1))
        if newest > declared.version:
            raise LakeError(
                f"table {name!r}: a newer release of Phenolake wrote it (version {newest} of the "
                f"table, this release knows {declared.version}); update Phenolake"
            )
        if oldest < declared.version:
            yield snapshot, declared, oldest


def migrate(
    lake: Lake, migrations: Sequence[Migration] = MIGRATIONS, *, run_id: str = ""
) -> Iterator[Migrated]:
    """Rewrite every outdated table; readers see the whole old or the whole new table.

    The old version stays readable as any other.

    Raises
    ------
    LakeError
        If no migration leads to the declared version, a newer release wrote a table, or other
        writers are at work on it.
    """
    for snapshot, declared, oldest in outdated(lake):
        steps = {m.to_version: m for m in migrations if m.table == declared.name}
        missing = set(range(oldest + 1, declared.version + 1)) - steps.keys()
        if missing:
            raise LakeError(
                f"table {declared.name!r}: version {oldest} can't be brought to {declared.version}; "
                f"the step to version {min(missing)} is not known"
            )
        yield _migrate_table(snapshot, declared, oldest, steps, run_id)


def _migrate_table(
    snapshot: Snapshot, declared: Table, oldest: int, steps: dict[int, Migration], run_id: str
) -> Migrated:
    adds: list[AddAction] = []
    rows = 0
    schema = declared.arrow_schema()
    partitions = current_partitions(commit_frame(snapshot))
    for text, held in partitions.select("partition", "table_version").iter_rows():
        where = json.loads(text)
        due = [steps[v] for v in range((held or 1) + 1, declared.version + 1)]
        writer = PartWriter(
            snapshot.location, snapshot.filesystem, partition_folder(where), declared
        )
        with writer:
            for batch in _changed(snapshot, where, due):
                writer.add(conform(batch, declared, where, {}))
        extra = [f for f in writer.schema or () if f.name not in schema.names]
        schema = pa.schema([*schema, *extra])
        rows += sum(part.rows for part in writer.parts)
        adds += add_actions(writer.parts, where)

    def act(now: Snapshot | None, said: dict[str, str]) -> None:
        if now is None or now.version != snapshot.version:
            raise LakeError(
                f"table {declared.name!r} was written while it was migrated; nothing was changed, "
                "run this again when no run is active"
            )
        snapshot.delta.create_write_transaction(
            [*adds],
            mode="overwrite",
            schema=Schema.from_arrow(schema),
            partition_by=list(declared.partition_by),
            commit_properties=CommitProperties(custom_metadata=said, max_commit_retries=0),
        )

    said = {
        "phenolake_operation": "migrate",
        "phenolake_run_id": run_id,
        "phenolake_table_version": str(declared.version),
    }
    version = commit_and_confirm(
        snapshot.location, snapshot.layer, snapshot.name, said, act, "the whole table"
    )
    return Migrated(declared.name, oldest, declared.version, rows, version)


def _changed(
    snapshot: Snapshot, where: dict[str, str], steps: Iterable[Migration]
) -> Iterator[pa.Table]:
    steps = list(steps)
    for batch in row_group_batches(snapshot, where, snapshot.columns(where)):
        frame = pl.DataFrame(batch)
        for step in steps:
            frame = step.change(frame)
        yield frame.to_arrow()
