"""CellProfiler CSV import: phenolake beside CytoTable where it is installed, else DuckDB and pandas.

Run with `python benchmarks/imports.py [--cells 200000] [--features 1000] [--peer ...]`. Each
contender runs alone in a fresh process; prints seconds, MB of CSV per second, and peak memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
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
        }
    ).write_csv(folder / "Image.csv")
    number = np.tile(np.arange(1, CELLS_PER_SITE + 1), sites)
    for place, name in enumerate(COMPARTMENTS):
        width = features // 3 + (place < features % 3)
        links = {"Cells": ["Parent_Nuclei"], "Cytoplasm": ["Parent_Cells", "Parent_Nuclei"]}.get(
            name, []
        )
        with (folder / f"{name}.csv").open("wb") as file:
            for start in range(0, sites, 20):
                images = np.repeat(np.arange(start + 1, min(start + 20, sites) + 1), CELLS_PER_SITE)
                own = number[: len(images)]
                values = rng.lognormal(0, 2, (width, len(images)))
                frame = pl.DataFrame(
                    {
                        "ImageNumber": images,
                        "ObjectNumber": own,
                        **dict.fromkeys(links, own),
                        **{f"Texture_Feature_{i}": column for i, column in enumerate(values)},
                    }
                )
                file.write(frame.write_csv(include_header=start == 0).encode())
    return sum((folder / f"{name}.csv").stat().st_size for name in COMPARTMENTS)


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
        parsl_config=Config(executors=[ThreadPoolExecutor()]),
    )
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": rows, "seconds": seconds, "peak_mb": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=1000)
    parser.add_argument("--peer", nargs="*", choices=list(CONTENDERS))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run_one(arguments.one[0], Path(arguments.one[1]))))
        return
    peers = arguments.peer
    if peers is None:
        has_cytotable = importlib.util.find_spec("cytotable") is not None
        peers = ["phenolake", *(["cytotable"] if has_cytotable else ["duckdb", "pandas"])]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "export"
        source.mkdir()
        size = write_export(source, arguments.cells, arguments.features) / 1e6
        print(f"{arguments.cells} cells x {arguments.features} features, {size:.0f} MB of CSV")
        for name in peers:
            command = [sys.executable, __file__, "--one", name, str(source)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                print(f"{name:10s} failed: {done.stderr.strip().splitlines()[-1]}")
                continue
            result = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{name:10s} {result['rows']:8d} rows {result['seconds']:8.1f} s "
                f"{size / result['seconds']:7.1f} MB/s  peak {result['peak_mb']:7.0f} MB"
            )


if __name__ == "__main__":
    main()
