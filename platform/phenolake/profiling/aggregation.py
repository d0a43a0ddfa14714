"""Single cells to profiles: one row per well (or any group), in bounded memory.

Columns are read in blocks, so a table larger than memory is never held as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import polars as pl

from phenolake.errors import UnknownNameError
from phenolake.profiling.feature_matrix import feature_columns, key_columns, matrix
from phenolake.profiling.robust_stats import STATISTICS

CELL_COUNT = "Metadata_CellCount"
_VALUES_AT_ONCE = 24_000_000  # about 100 MB of float32


def aggregate(
    cells: pl.DataFrame | pl.LazyFrame,
    by: str | Iterable[str],
    statistic: Literal["median", "mean"] = "median",
) -> pl.DataFrame:
    """One profile per group of cells, with the number of its cells.

    Parameters
    ----------
    cells
        A row per cell. Feature columns are those that don't start with `Metadata_`. A lazy scan
        is read a block of columns at a time: memory holds one block (or one column, if a column
        alone is larger), never the table.
    by
        Columns that name a group, such as `Metadata_Plate` and `Metadata_Well`.
    statistic
        `median` (an even number of cells: mean of the middle two) or `mean`.

    Returns
    -------
    polars.DataFrame
        Sorted by `by`: those columns, `Metadata_CellCount` (int64), features (float64). NaN and
        null of single cells are ignored; a group without any value has NaN. A group without cells
        has no row.

    Raises
    ------
    UnknownNameError
        If a column of `by` or the statistic does not exist.
    """
    if statistic not in STATISTICS:
        raise UnknownNameError("statistic", statistic, STATISTICS)
    by = key_columns(cells, by)
    scan = cells.lazy()
    features = [name for name in feature_columns(cells) if name not in by]
    profiles = (
        scan.group_by(by)
        .agg(pl.len().cast(pl.Int64).alias(CELL_COUNT))
        .sort(by)
        .collect(engine="streaming")
    )
    cell_count = int(profiles[CELL_COUNT].sum() or 0)
    for block in _blocks(scan, features, cell_count):
        profiles = profiles.hstack(_aggregate_block(scan, by, block, statistic, profiles))
    return profiles


def _blocks(scan: pl.LazyFrame, features: list[str], cell_count: int) -> Iterator[list[str]]:
    size = max(1, _VALUES_AT_ONCE // max(1, cell_count))
    for start in range(0, len(features), size):
        yield features[start : start + size]


def _aggregate_block(
    scan: pl.LazyFrame, by: list[str], block: list[str], statistic: str, profiles: pl.DataFrame
) -> list[pl.Series]:
    cells = scan.select([*by, *block]).collect(engine="streaming")
    # The sort makes each group a run of rows, in the order of `profiles`.
    order = cells.select(pl.arg_sort_by(by)).to_series()
    single = all(cells.schema[name] == pl.Float32 for name in block)
    values = matrix(cells, block, np.float32 if single else np.float64)
    if not _is_sorted(order):
        for row in values:
            row[:] = row[order.to_numpy()]
    result = np.empty((len(block), profiles.height))
    ends = np.cumsum(profiles[CELL_COUNT].to_numpy())

    def fill(group: int) -> None:
        start = ends[group - 1] if group else 0
        result[:, group] = STATISTICS[statistic](values[:, start : ends[group]])

    # numpy lets go of Python's lock while it sorts; as many threads as polars may use.
    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        list(threads.map(fill, range(profiles.height)))
    return [pl.Series(name, row) for name, row in zip(block, result, strict=True)]


def _is_sorted(order: pl.Series) -> bool:
    return bool((order.to_numpy() == np.arange(order.len())).all())
