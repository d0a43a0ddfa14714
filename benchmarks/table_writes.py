"""Write a single-cell table with `write_deltalake` defaults and with Phenolake, side by side.

Each write runs in a fresh process; the table prints median seconds, MB on disk and peak memory
beyond the input. Example: `python benchmarks/table_writes.py --rows 200000 --columns 1000`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from phenolake.lake import Lake
from phenolake.tables import SINGLE_CELL_FEATURES

WHERE = {"Metadata_Screen": "bench", "Metadata_Plate": "P1"}
SITE_ROWS = 150


def cells(rows: int, columns: int, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    number = np.arange(rows)
    wells = pa.array([f"{chr(65 + w // 24)}{w % 24 + 1:02d}" for w in range(384)])
    keys = {
        "Metadata_Well": wells.take(pa.array(number * 384 // rows)),
        "Metadata_Site": pa.array((number // SITE_ROWS % 9 + 1).astype(np.int32)),
        "Metadata_ObjectNumber": pa.array((number % SITE_ROWS + 1).astype(np.int32)),
    }
    features = {
        f"Nuclei_Bench_Feature{i:04d}": pa.array(rng.standard_normal(rows, dtype=np.float32))
        for i in range(columns)
    }
    return pa.table({**keys, **features})


def with_partition(table: pa.Table) -> pa.Table:
    for name, value in WHERE.items():
        table = table.append_column(name, pa.repeat(pa.scalar(value), table.num_rows))
    return table


def write_defaults(folder: str, table: pa.Table) -> None:
    write_deltalake(f"{folder}/cells", table, partition_by=list(WHERE), mode="overwrite")


def write_phenolake(folder: str, table: pa.Table) -> None:
    Lake(folder).write(SINGLE_CELL_FEATURES, table, WHERE)


def write_phenolake_stream(folder: str, table: pa.Table) -> None:
    sites = (table.slice(i, SITE_ROWS) for i in range(0, table.num_rows, SITE_ROWS))
    Lake(folder).write(SINGLE_CELL_FEATURES, sites, WHERE)


WAYS = {
    "write_deltalake defaults": (write_defaults, with_partition),
    "phenolake, one table": (write_phenolake, lambda table: table),
    "phenolake, a batch per site": (write_phenolake_stream, lambda table: table),
}


def measure(way: str, rows: int, columns: int, seed: int) -> tuple[float, float, float]:
    write, prepare = WAYS[way]
    table = prepare(cells(rows, columns, seed))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        write(folder, table)
        seconds = time.perf_counter() - started
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return seconds, size / 1e6, grown / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--columns", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    results: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    spawn = multiprocessing.get_context("spawn")
    for seed in range(arguments.repeats):
        for way, measured in results.items():
            with spawn.Pool(1) as fresh:
                task = (way, arguments.rows, arguments.columns, seed)
                measured.append(fresh.apply(measure, task))
    medians = {
        way: [statistics.median(column) for column in zip(*measured, strict=True)]
        for way, measured in results.items()
    }
    reference = medians["write_deltalake defaults"][0]
    print(f"{arguments.rows:,} rows x {arguments.columns:,} float32, median of {arguments.repeats}")
    print(f"{'':30}{'seconds':>9}{'MB on disk':>12}{'peak MiB':>10}{'times faster':>14}")
    for way, (seconds, size, grown) in medians.items():
        print(f"{way:30}{seconds:9.2f}{size:12.0f}{grown:10.0f}{reference / seconds:14.1f}")


if __name__ == "__main__":
    main()
