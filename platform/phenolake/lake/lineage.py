"""Where rows come from: every commit of every table, and the commit that each partition shows now.

SQL sees it as the schema `lineage`; `phenolake history` prints it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from phenolake.lake.log import commits
from phenolake.lake.snapshot import Snapshot

_COMMON: dict[str, Any] = {
    "table_name": pl.String,
    "version": pl.Int64,
    "Metadata_Screen": pl.String,
    "Metadata_Plate": pl.String,
    "partition": pl.String,
    "operation": pl.String,
    "committed_at": pl.Datetime("us", "UTC"),
    "run_id": pl.String,
    "user": pl.String,
    "code_version": pl.String,
    "table_version": pl.Int64,
    "rows": pl.Int64,
    "bytes": pl.Int64,
    "restored_version": pl.Int64,
    "parameters": pl.String,
}
#: Columns of each table of the schema `lineage`.
SCHEMAS: dict[str, dict[str, Any]] = {
    "commits": _COMMON,
    "partitions": _COMMON,
    "inputs": {
        "table_name": pl.String,
        "version": pl.Int64,
        "input_table": pl.String,
        "input_version": pl.Int64,
    },
}
#: What changes rows; other commits only tidy up.
_CHANGES = ("write", "restore", "migrate")


def lineage_tables(snapshots: Iterable[Snapshot]) -> dict[str, Callable[[], pl.DataFrame]]:
    """Functions that read the tables of `SCHEMAS` from the logs, up to these snapshots."""
    present = list(snapshots)

    def frames() -> Iterator[pl.DataFrame]:
        yield from map(commit_frame, present)

    return {
        "commits": lambda: _joined(frames(), "commits"),
        "partitions": lambda: _joined(map(current_partitions, frames()), "partitions"),
        "inputs": lambda: _joined(map(input_frame, present), "inputs"),
    }


def commit_frame(snapshot: Snapshot) -> pl.DataFrame:
    """One row per commit up to the snapshot's version, oldest first, as `SCHEMAS["commits"]`."""
    rows = [_commit_row(snapshot.name, commit) for commit in _known(snapshot)]
    return pl.DataFrame(rows, schema=_COMMON, orient="row").sort("version")


def input_frame(snapshot: Snapshot) -> pl.DataFrame:
    """One row per table that a commit was made from, as `SCHEMAS["inputs"]`."""
    rows = [
        (snapshot.name, commit["version"], table, version)
        for commit in _known(snapshot)
        for table, version in json.loads(commit.get("phenolake_inputs") or "{}").items()
    ]
    return pl.DataFrame(rows, schema=SCHEMAS["inputs"], orient="row").sort("version", "input_table")


def current_partitions(commits_of_table: pl.DataFrame) -> pl.DataFrame:
    """The commit that wrote what each partition holds; a restored one points at its first writing.

    Parameters
    ----------
    commits_of_table
        What `commit_frame` gives.
    """
    changes = commits_of_table.filter(pl.col("operation").is_in(_CHANGES)).to_dicts()
    written = _state(changes, None)
    rows = [commit for _, commit in sorted(written.items())]
    return pl.DataFrame(rows, schema=_COMMON, orient="row")


def _state(changes: list[dict[str, Any]], until: int | None) -> dict[str, dict[str, Any]]:
    """Newest writing of each partition when the table was at version `until`."""
    state: dict[str, dict[str, Any]] = {}
    for change in changes:
        if until is not None and change["version"] > until:
            break
        if change["operation"] == "migrate":
            # The rows are still those of their runs, in new columns.
            newer = {"table_version": change["table_version"]}
            state = {partition: commit | newer for partition, commit in state.items()}
            continue
        if change["operation"] == "write":
            state[change["partition"]] = change
            continue
        where = json.loads(change["partition"])
        earlier = _state(changes, change["restored_version"])
        kept = {p: c for p, c in state.items() if not _within(p, where)}
        state = kept | {p: c for p, c in earlier.items() if _within(p, where)}
    return state


def _within(partition: str, where: Mapping[str, str]) -> bool:
    return where.items() <= json.loads(partition).items()


def _known(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for commit in commits(snapshot.filesystem):
        if commit["version"] <= snapshot.version:
            yield commit


def _commit_row(name: str, commit: Mapping[str, Any]) -> dict[str, Any]:
    partition = commit.get("phenolake_partition") or "{}"
    where = json.loads(partition)
    table_version = commit.get("phenolake_table_version")
    restored = commit.get("phenolake_restored_version")
    return {
        "table_name": name,
        "version": commit["version"],
        "Metadata_Screen": where.get("Metadata_Screen"),
        "Metadata_Plate": where.get("Metadata_Plate"),
        "partition": partition,
        "operation": _operation(commit),
        "committed_at": datetime.fromtimestamp(commit.get("timestamp", 0) / 1000, UTC),
        "run_id": commit.get("phenolake_run_id") or None,
        "user": commit.get("phenolake_user") or None,
        "code_version": commit.get("phenolake_code_version") or None,
        "table_version": int(table_version) if table_version else None,
        "rows": commit["rows"],
        "bytes": commit["bytes"],
        "restored_version": int(restored) if restored else None,
        "parameters": commit.get("phenolake_parameters"),
    }


def _operation(commit: Mapping[str, Any]) -> str:
    """`write`, `restore`, `migrate`, `compact`, `vacuum`, or what another tool called it."""
    ours = commit.get("phenolake_operation")
    if ours:
        return str(ours)
    if "phenolake_commit" in commit:
        return "write"
    return str(commit.get("operation", "unknown")).lower()


def _joined(frames: Iterable[pl.DataFrame], name: str) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=SCHEMAS[name]), *frames])
