"""Read the active files of a snapshot: as a polars lazy frame, or a row group at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import polars as pl
import pyarrow as pa

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


def row_group_batches(
    snapshot: Snapshot, where: Mapping[str, str] | None, columns: list[str]
) -> Iterator[pa.RecordBatch]:
    """Yield rows in writing order; holds one row group, and skips those that can't match.

    A scan of the whole Arrow dataset would read far ahead of its consumer.
    """
    for read in row_group_readers(snapshot, where, columns):
        yield from (batch for batch in read().to_batches() if batch.num_rows)


def row_group_readers(
    snapshot: Snapshot,
    where: Mapping[str, str] | None,
    columns: list[str],
    pool: pa.MemoryPool | None = None,
) -> list[Callable[[], pa.Table]]:
    """A function for each row group that can match, in writing order, that reads its rows.

    `pool` is where they are put; Arrow's own if there is none.
    """
    import pyarrow.compute as pc

    expression = pc.scalar(True)
    for name, value in (where or {}).items():
        expression &= pc.field(name) == pc.scalar(value)
    dataset = snapshot.dataset(where)
    return [
        partial(
            row_group.to_table,
            schema=dataset.schema,
            columns=columns,
            filter=expression,
            use_threads=False,
            memory_pool=pool,
        )
        for fragment in dataset.get_fragments(expression)
        for row_group in fragment.split_by_row_group(expression, schema=dataset.schema)
    ]
