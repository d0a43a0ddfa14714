"""Keep tables small and fast: join small files, checkpoint the log, delete what no version needs.

None of it changes a row. Readers keep the files of their version for as long as `retention` says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as arrow_fs
from deltalake import CommitProperties
from deltalake.exceptions import CommitFailedError

from phenolake.errors import ConfigurationError, LakeError
from phenolake.lake.delta_writer import add_actions
from phenolake.lake.log import newest_checkpoint
from phenolake.lake.parquet_parts import FILE_BYTES, PartWriter, partition_folder
from phenolake.lake.scan import row_group_batches
from phenolake.lake.snapshot import Snapshot
from phenolake.tables import TABLES

if TYPE_CHECKING:
    from phenolake.lake.store import Lake

RETENTION = timedelta(days=7)
#: Files of a write under way are in no version yet, and clocks differ: younger files are never
#: deleted.
SHORTEST_RETENTION = timedelta(days=1)

#: A reader parses the log from the last checkpoint on.
_COMMITS_WITHOUT_CHECKPOINT = 10
_RETENTION_PROPERTY = "delta.deletedFileRetentionDuration"


@dataclass(frozen=True)
class Upkeep:
    """What was done to one table, and what it consists of now."""

    table: str
    version: int
    rows: int
    files: int
    bytes: int
    joined: int
    deleted: int
    checkpointed: bool
    seconds: float


def maintain(
    lake: Lake,
    *,
    retention: timedelta = RETENTION,
    run_id: str = "",
    dry_run: bool = False,
) -> Iterator[Upkeep]:
    """Maintain every table of a lake in turn, and say what was done to each.

    Safe while others read and write: a partition that another writer replaces in the meantime is
    left as that writer made it, and every version of the last `retention` keeps its files.

    Parameters
    ----------
    retention
        At least a day.
    dry_run
        Count the files that would be deleted, and change nothing.

    Raises
    ------
    ConfigurationError
        If `retention` is shorter than a day.
    LakeLocationError
        If the lake can't be written.
    """
    if retention < SHORTEST_RETENTION:
        raise ConfigurationError(
            f"retention {retention}: at least a day, or writers and readers at work lose their files"
        )
    for layer, name in lake.tables():
        started = time.perf_counter()
        with lake.location.writing():
            joined = 0 if dry_run else compact(lake, layer, name, run_id)
            snapshot = _open(lake, layer, name)
            deleted = vacuum(snapshot, retention, run_id, dry_run=dry_run)
            snapshot = _open(lake, layer, name)
            checkpointed = not dry_run and checkpoint(snapshot)
        seconds = time.perf_counter() - started
        yield Upkeep(
            name, snapshot.version, *size(snapshot), joined, deleted, checkpointed, seconds
        )


def size(snapshot: Snapshot) -> tuple[int, int, int]:
    """Rows, files and bytes of a snapshot, from its log alone."""
    rows, weight = (
        pc.sum(snapshot.files.column(c)).as_py() or 0 for c in ("num_records", "size_bytes")
    )
    return int(rows), snapshot.files.num_rows, int(weight)


def compact(lake: Lake, layer: str, name: str, run_id: str = "") -> int:
    """Rewrite each partition that fewer files could hold; returns how many files were joined."""
    joined = 0
    for where, count in _scattered(_open(lake, layer, name)):
        # Opened again for each: a commit is judged against the version that it was read from.
        if _join_files(_open(lake, layer, name), where, run_id):
            joined += count
    return joined


def vacuum(
    snapshot: Snapshot, retention: timedelta, run_id: str = "", *, dry_run: bool = False
) -> int:
    """Delete files that no version of the last `retention` needs; returns how many there were.

    Among them are files that a killed writer left, which no version names.
    """
    delta = snapshot.delta
    hours = round(retention / timedelta(hours=1))
    wanted = _hours(retention)
    configured = delta.metadata().configuration.get(_RETENTION_PROPERTY, _hours(RETENTION))
    if not dry_run and configured != wanted:
        # Checkpoints forget deleted files after this time; it has to agree with ours.
        delta.alter.set_table_properties({_RETENTION_PROPERTY: wanted})
    enforce = not dry_run
    doomed = delta.vacuum(hours, dry_run=True, full=True, enforce_retention_duration=enforce)
    # The log remembers files that are deleted long since; a commit for them would say nothing.
    count = len(_paths(snapshot).intersection(doomed))
    if count and not dry_run:
        said = _said("vacuum", {}, run_id)
        delta.vacuum(hours, dry_run=False, full=True, commit_properties=said)
    return count


def checkpoint(snapshot: Snapshot) -> bool:
    """Write a checkpoint if the log has grown since the last one; returns whether it did."""
    last = newest_checkpoint(snapshot.filesystem)
    if snapshot.version - (-1 if last is None else last) < _COMMITS_WITHOUT_CHECKPOINT:
        return False
    snapshot.delta.create_checkpoint()
    return True


def _paths(snapshot: Snapshot) -> set[str]:
    """Every file and folder below the table."""
    everything = arrow_fs.FileSelector("", recursive=True)
    return {info.path for info in snapshot.filesystem.get_file_info(everything)}


def _scattered(snapshot: Snapshot) -> Iterator[tuple[dict[str, str], int]]:
    """Partitions whose rows would fit into fewer files, and how many files they have."""
    partition = [f"partition.{name}" for name in snapshot.partition_columns]
    groups = snapshot.files.group_by(partition).aggregate(
        [("size_bytes", "sum"), ("path", "count")]
    )
    for group in groups.to_pylist():
        if group["path_count"] > -(-group["size_bytes_sum"] // FILE_BYTES):
            where = {name.removeprefix("partition."): group[name] for name in partition}
            yield where, group["path_count"]


def _join_files(snapshot: Snapshot, where: Mapping[str, str], run_id: str) -> bool:
    """Write the partition's rows as few files; False if another writer replaced it meanwhile."""
    columns = snapshot.columns(where)
    writer = PartWriter(
        snapshot.location, snapshot.filesystem, partition_folder(where), TABLES.get(snapshot.name)
    )
    with writer:
        for batch in row_group_batches(snapshot, where, columns):
            writer.add(pa.Table.from_batches([batch]))
    try:
        snapshot.delta.create_write_transaction(
            [*add_actions(writer.parts, where, data_change=False)],
            mode="overwrite",
            schema=snapshot.stored,
            partition_by=list(where),
            partition_filters=[(name, "=", value) for name, value in where.items()] or None,
            commit_properties=_said("compact", where, run_id),
        )
    except CommitFailedError:
        return False
    return True


def _hours(retention: timedelta) -> str:
    return f"interval {round(retention / timedelta(hours=1))} hours"


def _said(operation: str, where: Mapping[str, str], run_id: str) -> CommitProperties:
    return CommitProperties(
        custom_metadata={
            "phenolake_operation": operation,
            "phenolake_partition": json.dumps(dict(where), sort_keys=True),
            "phenolake_run_id": run_id,
        },
        max_commit_retries=50,
    )


def _open(lake: Lake, layer: str, name: str) -> Snapshot:
    snapshot = Snapshot.open(lake.location, layer, name)
    if snapshot is None:
        raise LakeError(f"table {name!r} vanished while the lake was maintained")
    return snapshot


__all__ = [
    "RETENTION",
    "SHORTEST_RETENTION",
    "Upkeep",
    "checkpoint",
    "compact",
    "maintain",
    "size",
    "vacuum",
]
