"""Take a table, or a part of it, back to an earlier version: one new commit, no row is rewritten."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as arrow_fs
from deltalake import CommitProperties
from deltalake.transaction import AddAction

from phenolake.errors import LakeError, TableMissingError, TableSchemaError
from phenolake.lake.commits import Commit, commit_and_confirm
from phenolake.lake.location import Location
from phenolake.lake.snapshot import Snapshot
from phenolake.tables import Layer


def restore_partition(
    location: Location,
    layer: str,
    name: str,
    version: int,
    where: Mapping[str, str],
    metadata: Mapping[str, str],
) -> Commit:
    """Make the rows that `where` had at `version` its rows again; see `Lake.restore`."""
    started = time.perf_counter()
    old = Snapshot.open(location, layer, name, version)
    if old is None:
        raise TableMissingError(name, location.uri)
    unknown = set(where) - set(old.partition_columns)
    if unknown:
        raise TableSchemaError(
            name,
            f"only whole partitions can be restored ({', '.join(old.partition_columns) or 'none'}), "
            f"not {', '.join(sorted(unknown))}",
        )
    files = old.files_of(where)
    _check_present(old, files)

    def act(now: Snapshot | None, said: dict[str, str]) -> None:
        _commit_again(old, now or old, files, where, said)

    said = {
        **metadata,
        "phenolake_operation": "restore",
        "phenolake_partition": json.dumps(dict(where), sort_keys=True),
        "phenolake_restored_version": str(version),
    }
    new_version = commit_and_confirm(location, layer, name, said, act, dict(where) or "the table")
    rows, size = (pc.sum(files.column(c)).as_py() or 0 for c in ("num_records", "size_bytes"))
    return Commit(name, new_version, int(rows), int(size), time.perf_counter() - started)


def _check_present(old: Snapshot, files: pa.Table) -> None:
    """Refuse a version of which maintenance has deleted files."""
    paths = [unquote(path) for path in files.column("path").to_pylist()]
    found = old.filesystem.get_file_info(paths) if paths else []
    gone = sum(info.type == arrow_fs.FileType.NotFound for info in found)
    if gone:
        raise LakeError(
            f"table {old.name!r}: version {old.version} is older than what is kept; {gone} of its "
            f"{len(paths)} files were deleted by maintenance"
        )


def _commit_again(
    old: Snapshot, now: Snapshot, files: pa.Table, where: Mapping[str, str], said: dict[str, str]
) -> None:
    adds = [_add_again(row, old.partition_columns) for row in files.to_pylist()]
    # Marts change their columns with each write; other tables only gain some.
    schema = old.stored if old.layer == Layer.MARTS else now.stored
    now.delta.create_write_transaction(
        [*adds],
        mode="overwrite",
        schema=schema,
        partition_by=old.partition_columns,
        partition_filters=[(column, "=", value) for column, value in where.items()] or None,
        commit_properties=CommitProperties(custom_metadata=said, max_commit_retries=50),
    )


def _add_again(row: dict[str, object], partition_columns: list[str]) -> AddAction:
    return AddAction(
        path=unquote(str(row["path"])),
        size=int(str(row["size_bytes"])),
        partition_values={c: str(row[f"partition.{c}"]) for c in partition_columns},
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": row["num_records"]}),
    )
