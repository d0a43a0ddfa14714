"""CellProfiler import, CSV or SQLite: phenolake beside CytoTable, DuckDB and pandas on the same files.

Run with `python benchmarks/imports.py [--kind sqlite] [--cells 200000] [--repeats 3]`. Contenders
take turns, each in a fresh process; prints medians: seconds, MB of source per second of wall and of
CPU time, and peak memory. `--cytotable PYTHON` names an interpreter that has CytoTable.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform")]

CELLS_PER_SITE = 100
COMPARTMENTS = ("Cells", "Nuclei", "Cytoplasm")
#: Columns that hold an object's own number again, or its parent's.
LINKS = {
    "Cells": ["Number_Object_Number", "Parent_Nuclei"],
    "Nuclei": ["Number_Object_Number"],
    "Cytoplasm": ["Number_Object_Number", "Parent_Cells", "Parent_Nuclei"],
}
JOIN = (
    "select * from cells c left join nuclei n on n.ImageNumber = c.ImageNumber "
    "and n.ObjectNumber = c.Parent_Nuclei left join cytoplasm y on y.ImageNumber = c.ImageNumber "
    "and y.Parent_Cells = c.ObjectNumber"
)


def write_export(folder: Path, cells: int, features: int) -> int:
    """Image, Cells, Nuclei and Cytoplasm CSVs of one plate; returns the bytes of the objects."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(0)
    sites = cells // CELLS_PER_SITE
    wells = [f"{'ABCDEFGHIJKLMNOP'[i // 24 % 16]}{i % 24 + 1:02d}" for i in range(sites)]
    pl.DataFrame(
        {
            "ImageNumber": range(1, sites + 1),
            "Metadata_Plate": ["P1"] * sites,
            "Metadata_Well": wells,
            "Metadata_Site": [1 + i // 384 for i in range(sites)],
            "FileName_DNA": [f"{i}.tif" for i in range(sites)],
        }
    ).write_csv(folder / "Image.csv")
    number = np.tile(np.arange(1, CELLS_PER_SITE + 1), sites)
    for place, name in enumerate(COMPARTMENTS):
        width = features // 3 + (place < features % 3)
        with (folder / f"{name}.csv").open("wb") as file:
            for start in range(0, sites, 20):
                images = np.repeat(np.arange(start + 1, min(start + 20, sites) + 1), CELLS_PER_SITE)
                own = number[: len(images)]
                values = rng.lognormal(0, 2, (width, len(images)))
                frame = pl.DataFrame(
                    {
                        "ImageNumber": images,
                        "ObjectNumber": own,
                        **dict.fromkeys(LINKS[name], own),
                        **{f"Texture_Feature_{i}": column for i, column in enumerate(values)},
                    }
                )
                file.write(frame.write_csv(include_header=start == 0).encode())
    return sum((folder / f"{name}.csv").stat().st_size for name in COMPARTMENTS)


def as_database(folder: Path) -> Path:
    """The same tables as cytominer-database writes them."""
    import csv

    path = folder.with_suffix(".sqlite")
    with sqlite3.connect(path) as connection:
        connection.execute("pragma synchronous = off")
        for name in ("Image", *COMPARTMENTS):
            with (folder / f"{name}.csv").open(newline="") as file:
                rows = csv.reader(file)
                keys = ("ImageNumber", "ObjectNumber")
                columns = [c if c in keys else f"{name}_{c}" for c in next(rows)]
                kind = "text" if name == "Image" else "real"
                typed = [f'"{c}" {"integer" if c in keys else kind}' for c in columns]
                connection.execute(f"create table {name} (TableNumber text, {', '.join(typed)})")
                marks = ", ".join("?" * len(columns))
                connection.executemany(f"insert into {name} values ('t', {marks})", rows)
    return path


def by_phenolake(source: Path, target: Path) -> int:
    from phenolake.importing import import_source
    from phenolake.lake import Lake

    return sum(i.commit.rows for i in import_source(Lake(str(target)), source, "bench"))


def by_duckdb(source: Path, target: Path) -> int:
    import duckdb

    with duckdb.connect() as connection:
        for name in COMPARTMENTS:
            connection.execute(f"create view {name} as from read_csv('{source / name}.csv')")
        connection.execute(f"copy ({JOIN}) to '{target}.parquet' (compression zstd)")
        return connection.execute(f"select count(*) from '{target}.parquet'").fetchone()[0]


def by_pandas(source: Path, target: Path) -> int:
    import pandas as pd

    cells, nuclei, cytoplasm = (
        pd.read_csv(source / f"{name}.csv")
        .set_index("ImageNumber")
        .add_prefix(f"{name}_")
        .reset_index()
        for name in COMPARTMENTS
    )
    joined = cells.merge(
        nuclei,
        left_on=["ImageNumber", "Cells_Parent_Nuclei"],
        right_on=["ImageNumber", "Nuclei_ObjectNumber"],
        how="left",
    ).merge(
        cytoplasm,
        left_on=["ImageNumber", "Cells_ObjectNumber"],
        right_on=["ImageNumber", "Cytoplasm_Parent_Cells"],
        how="left",
    )
    joined.to_parquet(f"{target}.parquet", compression="zstd")
    return len(joined)


def by_cytotable(source: Path, target: Path) -> int:
    import cytotable
    import parsl
    import polars as pl
    from parsl.config import Config
    from parsl.executors import ThreadPoolExecutor

    out = cytotable.convert(
        source_path=str(source),
        source_datatype="csv",
        dest_path=f"{target}.parquet",
        dest_datatype="parquet",
        preset="cellprofiler_csv",
        # Its default of 1,000 rows joins each thousand anew; this is the size its guide uses.
        chunk_size=30_000,
        parsl_config=Config(executors=[ThreadPoolExecutor()]),
    )
    # Older releases leave their workers running.
    with contextlib.suppress(parsl.errors.NoDataFlowKernelError):
        parsl.dfk().cleanup()
    return pl.scan_parquet(out).select(pl.len()).collect().item()


CONTENDERS = {
    "phenolake": by_phenolake,
    "cytotable": by_cytotable,
    "duckdb": by_duckdb,
    "pandas": by_pandas,
}


def run_one(name: str, source: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        started = time.perf_counter()
        rows = CONTENDERS[name](source, Path(folder) / "out")
        seconds = time.perf_counter() - started
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "rows": rows,
        "seconds": seconds,
        "cpu_seconds": sum(usage.ru_utime + usage.ru_stime for usage in used),
        "peak_mb": max(usage.ru_maxrss for usage in used) / 1024,
    }


def in_fresh_process(name: str, source: Path, interpreter: str) -> dict[str, float] | str:
    """One run, or the reason why there is none."""
    command = [interpreter, str(Path(__file__).resolve()), "--one", name, str(source)]
    # Parsl writes its logs where it runs.
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=source.parent)
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["no message"])[-1]
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=["csv", "sqlite"], default="csv")
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", nargs="*", choices=list(CONTENDERS))
    parser.add_argument("--cytotable", default=sys.executable, help="interpreter with CytoTable")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(run_one(given.one[0], Path(given.one[1]))))
        return
    peers = given.peer or (list(CONTENDERS) if given.kind == "csv" else ["phenolake"])
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "export"
        source.mkdir()
        size = write_export(source, given.cells, given.features) / 1e6
        if given.kind == "sqlite":
            source = as_database(source)
            size = source.stat().st_size / 1e6
        print(f"{given.cells} cells x {given.features} features, {size:.0f} MB of {given.kind}")
        results: dict[str, list[dict[str, float]]] = {name: [] for name in peers}
        for _ in range(given.repeats):
            for name in list(results):
                interpreter = given.cytotable if name == "cytotable" else sys.executable
                result = in_fresh_process(name, source, interpreter)
                if isinstance(result, str):
                    print(f"{name:10s} skipped: {result}", flush=True)
                    del results[name]
                else:
                    results[name].append(result)
        for name, runs in results.items():
            middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            print(
                f"{name:10s} {middle['rows']:8.0f} rows {middle['seconds']:8.1f} s "
                f"{size / middle['seconds']:7.1f} MB/s wall {size / middle['cpu_seconds']:7.1f} "
                f"MB/s CPU  peak {middle['peak_mb']:7.0f} MB"
            )


if __name__ == "__main__":
    main()
