"""Polars lazy frames over the active files of a snapshot."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from phenolake.lake.snapshot import Snapshot


def lazy_frame(snapshot: Snapshot, where: Mapping[str, str] | None = None) -> pl.LazyFrame:
    """Return rows of the files that can hold `where`, with all columns of the table, lazily.

    polars reads the files itself rather than by `scan_delta`, which fails on a local lake whose
    path has a space, a percent sign or letters beyond ASCII (polars 2.1).
    """
    groups = snapshot.groups(where)
    schema = pl.DataFrame(snapshot.schema.empty_table()).schema
    if not groups:
        return pl.LazyFrame(schema=schema)
    partitions = snapshot.partition_columns
    if not all(set(partitions) <= set(group.columns) for group in groups):
        # Another tool wrote files without the partition columns.
        return pl.scan_pyarrow_dataset(snapshot.dataset(where))
    # Folder names let polars skip plates unopened; an '=' above them would look like a partition.
    hive = bool(partitions) and all(group.hive for group in groups) and "=" not in snapshot.uri
    return pl.scan_parquet(
        [f"{snapshot.uri}/{path}" for path in snapshot.paths(where)],
        glob=False,
        schema=schema,
        missing_columns="insert",
        extra_columns="ignore",
        hive_partitioning=hive,
        hive_schema=dict.fromkeys(partitions, pl.String) if hive else None,
    )
