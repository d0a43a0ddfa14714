"""Single cells to profiles: one row per well (or any group), in bounded memory.

Columns are read in blocks, so a table larger than memory is never held as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError
from phenolake.profiling.feature_matrix import feature_columns, key_columns, matrix
from phenolake.profiling.robust_stats import statistic_named

CELL_COUNT = "Metadata_CellCount"
EXCLUDED_COUNT = "Metadata_ExcludedCellCount"
_VALUES_AT_ONCE = 16_000_000  # 64 MB of float32


def aggregate(
    cells: pl.DataFrame | pl.LazyFrame,
    by: str | Iterable[str],
    statistic: str | Sequence[str] = "median",
    *,
    keep: pl.Expr | None = None,
    min_cells: int = 0,
    compartments: Sequence[str] | None = None,
    one_at_a_time: str | None = None,
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
        `median` (an even number of cells: mean of the middle two), `mean`, `mad` (x 1.4826), `sd`
        (ddof 0), or a percentile such as `q10`. Several give several columns per feature, with
        the statistic's name behind the feature's.
    keep
        Expression that chooses the cells that count, such as those that touch no border. The
        others are counted in `Metadata_ExcludedCellCount`; a group that loses all its cells keeps
        its row.
    min_cells
        A group with fewer kept cells keeps its row and counts; its features are NaN.
    compartments
        Leading words of the features to use, such as `("Nuclei",)`; None takes all, joined.
    one_at_a_time
        A column of `by` whose values are aggregated one after the other, the partition column
        of a table on disk: memory then holds one partition's block whatever the table's size.

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
    ConfigurationError
        If no feature belongs to the compartments.
    """
    statistics = [statistic] if isinstance(statistic, str) else list(statistic)
    for name in statistics:
        statistic_named(name)
    by = key_columns(cells, by)
    features = [
        name
        for name in feature_columns(cells)
        if name not in by and (compartments is None or name.split("_")[0] in compartments)
    ]
    if compartments is not None and not features:
        raise ConfigurationError(f"aggregate: no feature of {', '.join(compartments)} in the table")
    scan = cells.lazy()
    if one_at_a_time is not None:
        key_columns(cells, one_at_a_time)
        values = scan.select(one_at_a_time).unique().collect(engine="streaming").to_series().sort()
        parts = [
            _aggregate(
                scan.filter(pl.col(one_at_a_time) == value),
                by,
                features,
                statistics,
                keep,
                min_cells,
            )
            for value in values
        ]
        return pl.concat(parts).sort(by)
    return _aggregate(scan, by, features, statistics, keep, min_cells)


def _aggregate(
    scan: pl.LazyFrame,
    by: list[str],
    features: list[str],
    statistics: list[str],
    keep: pl.Expr | None,
    min_cells: int,
) -> pl.DataFrame:
    counts = [pl.len().cast(pl.Int64).alias(CELL_COUNT)]
    if keep is not None:
        kept = keep.fill_null(False).sum().cast(pl.Int64)
        counts = [kept.alias(CELL_COUNT), (pl.len().cast(pl.Int64) - kept).alias(EXCLUDED_COUNT)]
        kept_cells = scan.filter(keep.fill_null(False))
    else:
        kept_cells = scan
    profiles = scan.group_by(by).agg(counts).sort(by).collect(engine="streaming")
    sizes = profiles[CELL_COUNT].to_numpy()
    order = _Order(by)
    for block in _blocks(features, int(sizes.sum())):
        cells = kept_cells.select([*by, *block]).collect(engine="streaming")
        profiles = profiles.hstack(_aggregate_block(cells, order, block, statistics, sizes))
    if len(statistics) > 1:
        # Blocks hold statistic by feature; the table reads feature by feature.
        names = [_column(name, kind, statistics) for kind in statistics for name in features]
        profiles = profiles.select(pl.exclude(names), *names)
    if min_cells:
        enough = pl.col(CELL_COUNT) >= min_cells
        names = [name for name in profiles.columns if name not in (*by, CELL_COUNT, EXCLUDED_COUNT)]
        profiles = profiles.with_columns(
            pl.when(enough).then(pl.col(names)).otherwise(float("nan")).name.keep()
        )
    return profiles


def _column(feature: str, statistic: str, statistics: list[str]) -> str:
    return feature if len(statistics) == 1 else f"{feature}_{statistic}"


def _blocks(features: list[str], cell_count: int) -> Iterator[list[str]]:
    size = max(1, _VALUES_AT_ONCE // max(1, cell_count))
    for start in range(0, len(features), size):
        yield features[start : start + size]


class _Order:
    """The rows of a block sorted by group; sorted again only if the next block's rows differ."""

    def __init__(self, by: list[str]) -> None:
        self._by = by
        self._keys: pl.DataFrame | None = None
        self._rows: np.ndarray | None = None

    def of(self, cells: pl.DataFrame) -> np.ndarray | None:
        """Row numbers in the order of the profiles; None where they are in it already."""
        keys = cells.select(self._by)
        if self._keys is None or not keys.equals(self._keys):
            rows = keys.select(pl.arg_sort_by(self._by).cast(pl.Int64)).to_series().to_numpy()
            self._keys = keys
            self._rows = None if (rows == np.arange(rows.size)).all() else rows
        return self._rows


def _aggregate_block(
    cells: pl.DataFrame, order: _Order, block: list[str], statistics: list[str], sizes: np.ndarray
) -> list[pl.Series]:
    single = set(cells.select(block).dtypes) == {pl.Float32}
    values = matrix(cells, block, np.float32 if single else np.float64, order.of(cells))
    del cells
    functions = [statistic_named(name) for name in statistics]
    result = np.empty((len(statistics), len(block), sizes.size))
    ends = np.cumsum(sizes)

    def fill(group: int) -> None:
        start = ends[group - 1] if group else 0
        for index, function in enumerate(functions):
            result[index, :, group] = function(values[:, start : ends[group]])

    # numpy lets go of Python's lock while it sorts; as many threads as polars may use.
    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        list(threads.map(fill, range(sizes.size)))
    return [
        pl.Series(_column(name, kind, statistics), row)
        for kind, rows in zip(statistics, result, strict=True)
        for name, row in zip(block, rows, strict=True)
    ]
