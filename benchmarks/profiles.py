"""Profiling steps: phenolake against pycytominer and copairs on the same data, in one run.

`python benchmarks/profiles.py [--quick] [CASE ...]`. Each library runs in a process of its own and
prints seconds (median of three) and the memory it took beyond its input. The peers are optional:
pycytominer, copairs, harmonypy. The last case aggregates a table on disk, a plate at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "platform"))
WELL = ["Metadata_Plate", "Metadata_Well"]
FULL = {"cells": 200_000, "features": 1000, "plates": 50, "lake_plates": 20, "lake_features": 200}
QUICK = {"cells": 40_000, "features": 300, "plates": 10, "lake_plates": 4, "lake_features": 50}
SELECTION = ("variance", "missing", "correlation", "outliers")
LAKE_CELLS = 100_000  # of a plate
LAKE_CASE = "aggregate a table on disk"


def write_inputs(folder: Path, size: dict[str, int]) -> None:
    """A single-cell table of one plate, and profiles of several plates with 16 controls each."""
    rng = np.random.default_rng(0)
    names = [f"Cells_F_{i}" for i in range(size["features"])]
    wells = np.sort(rng.integers(0, 384, size["cells"]))
    cells = {name: rng.normal(size=wells.size).astype(np.float32) for name in names}
    keys = {"Metadata_Plate": ["P0"] * wells.size, "Metadata_Well": [f"w{w:03d}" for w in wells]}
    pl.DataFrame(keys | cells).write_parquet(folder / "cells.parquet")
    rows = size["plates"] * 384
    base = rng.normal(size=(rows, 40))
    profiles = {
        name: base[:, i % 40] + rng.normal(size=rows) * rng.uniform(0.2, 3)
        for i, name in enumerate(names)
    }
    position = np.arange(rows) % 384
    keys = {
        "Metadata_Plate": [f"P{i:02d}" for i in np.arange(rows) // 384],
        "Metadata_Well": [f"w{w:03d}" for w in position],
        "Metadata_Kind": np.where(position < 16, "negcon", "trt"),
        "Metadata_Perturbation": np.where(position < 16, "DMSO", [f"c{w % 92}" for w in position]),
    }
    pl.DataFrame(keys | profiles).write_parquet(folder / "profiles.parquet")


def write_lake(folder: Path, size: dict[str, int]) -> None:
    """A single-cell table in a folder per plate, as the lake keeps it; float32."""
    rng = np.random.default_rng(1)
    for plate in range(size["lake_plates"]):
        wells = np.sort(rng.integers(0, 384, LAKE_CELLS))
        frame = pl.DataFrame({"Metadata_Well": [f"w{w:03d}" for w in wells]}).hstack(
            [
                pl.Series(f"Cells_F_{i}", rng.standard_normal(LAKE_CELLS, np.float32))
                for i in range(size["lake_features"])
            ]
        )
        place = folder / "lake" / f"Metadata_Plate=P{plate:03d}"
        place.mkdir(parents=True)
        frame.write_parquet(place / "part.parquet", compression="lz4")


def with_a_gap(frame: pl.DataFrame) -> pl.DataFrame:
    """The same with one missing value in one feature."""
    gap = pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise("Cells_F_3")
    return frame.with_columns(gap.alias("Cells_F_3"))


def components(frame: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """First 50 principal components, (50, row), and the plate of each row as a number."""
    values = frame.drop("^Metadata_.*$").to_numpy()
    values = values - values.mean(axis=0)
    axes = np.linalg.eigh(values.T @ values)[1][:, ::-1][:, :50]
    return (values @ axes).T, frame["Metadata_Plate"].rank("dense").to_numpy().astype(int) - 1


def as_frame(points: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame(points.T, schema=[f"Cells_PC{i}" for i in range(len(points))])


def phenolake_cases(folder: Path, size: dict[str, int]):
    """Name -> (input, function)."""
    from phenolake import correction, evaluation, profiling

    control = pl.col("Metadata_Kind") == "negcon"
    cells, profiles = (folder / f"{name}.parquet" for name in ("cells", "profiles"))
    return {
        "aggregate median": (
            lambda: pl.read_parquet(cells),
            lambda frame: profiling.aggregate(frame, WELL),
        ),
        "aggregate median, from the file": (
            lambda: None,
            lambda _: profiling.aggregate(pl.scan_parquet(cells), WELL),
        ),
        "mad_robustize by plate": (
            lambda: pl.read_parquet(profiles),
            lambda frame: profiling.normalize(frame, "mad_robustize", reference=control),
        ),
        "feature selection": (
            lambda: pl.read_parquet(profiles),
            lambda frame: profiling.select_features(frame, SELECTION).profiles,
        ),
        "feature selection, one value missing": (
            lambda: with_a_gap(pl.read_parquet(profiles)),
            lambda frame: profiling.select_features(frame, SELECTION).profiles,
        ),
        "sphering": (
            lambda: pl.read_parquet(profiles),
            lambda frame: correction.correct(
                frame, "sphering", reference=control, regularization=1e-3
            ),
        ),
        "mean average precision": (
            lambda: pl.read_parquet(profiles),
            lambda frame: evaluation.mean_average_precision(frame, reference=control).table,
        ),
        "harmony": (
            lambda: components(pl.read_parquet(profiles)),
            lambda given: as_frame(
                correction.harmonize(*given, correction.HarmonySettings(clusters=100)).corrected
            ),
        ),
        "chain: normalize, select, sphere, consensus": (
            lambda: pl.read_parquet(profiles),
            lambda frame: chain(frame, control),
        ),
        LAKE_CASE: (
            lambda: None,
            lambda _: profiling.aggregate(
                pl.scan_parquet(folder / "lake" / "**/*.parquet", hive_partitioning=True),
                WELL,
                one_at_a_time="Metadata_Plate",
            ),
        ),
    }


def chain(frame: pl.DataFrame, control: pl.Expr) -> pl.DataFrame:
    from phenolake import profiling

    steps = (
        {"step": "normalize", "method": "mad_robustize"},
        {"step": "select_features", "operations": SELECTION},
        {"step": "correct", "method": "sphering", "kind": "ZCA-cor", "regularization": 1e-3},
    )
    recipe = profiling.Recipe("chain", "", steps)
    corrected = profiling.apply_recipe(frame, recipe, control, "Metadata_Plate")
    return profiling.consensus(corrected, "Metadata_Perturbation", "median")


def peer_cases(folder: Path, size: dict[str, int]):
    """The same by pycytominer and copairs, as far as they are installed."""
    cases = {}

    def pandas(name):
        return pl.read_parquet(folder / f"{name}.parquet").to_pandas()

    if find_spec("pycytominer"):
        import pandas as pd
        from pycytominer import aggregate, consensus, feature_select, normalize

        def by_plate(frame):
            parts = [
                normalize(
                    plate,
                    features=[c for c in plate.columns if not c.startswith("Metadata_")],
                    samples="Metadata_Kind == 'negcon'",
                    method="mad_robustize",
                    mad_robustize_epsilon=0,
                )
                for _, plate in frame.groupby("Metadata_Plate", sort=False)
            ]
            return pd.concat(parts)

        cases["aggregate median"] = (
            lambda: pandas("cells"),
            lambda frame: aggregate(frame, strata=WELL, operation="median"),
        )
        cases["mad_robustize by plate"] = (lambda: pandas("profiles"), by_plate)

        def select(frame):
            return feature_select(
                frame,
                operation=[
                    "frequency_threshold",
                    "variance_threshold",
                    "drop_na_columns",
                    "correlation_threshold",
                    "drop_outliers",
                ],
            )

        def sphere(frame):
            return normalize(
                frame,
                features=[c for c in frame.columns if not c.startswith("Metadata_")],
                samples="Metadata_Kind == 'negcon'",
                method="spherize",
                spherize_method="ZCA-cor",
                spherize_epsilon=1e-3,
            )

        cases["feature selection"] = (lambda: pandas("profiles"), select)
        cases["feature selection, one value missing"] = (
            lambda: with_a_gap(pl.from_pandas(pandas("profiles"))).to_pandas(),
            select,
        )
        cases["sphering"] = (lambda: pandas("profiles"), sphere)
        cases["chain: normalize, select, sphere, consensus"] = (
            lambda: pandas("profiles"),
            lambda frame: consensus(
                sphere(select(by_plate(frame))),
                replicate_columns=["Metadata_Perturbation"],
                operation="median",
            ),
        )
    if find_spec("copairs"):
        from copairs.map import average_precision, mean_average_precision

        def replicate_map(frame):
            metadata = frame.loc[:, frame.columns.str.startswith("Metadata_")]
            features = frame.loc[:, ~frame.columns.str.startswith("Metadata_")].to_numpy()
            precision = average_precision(
                metadata,
                features,
                pos_sameby=["Metadata_Perturbation", "Metadata_Plate"],
                pos_diffby=[],
                neg_sameby=["Metadata_Plate"],
                neg_diffby=["Metadata_Kind"],
                progress_bar=False,
            )
            precision = precision[precision["Metadata_Kind"] == "trt"]
            return mean_average_precision(
                precision,
                ["Metadata_Perturbation"],
                null_size=10_000,
                threshold=0.05,
                seed=0,
                progress_bar=False,
            )

        cases["mean average precision"] = (lambda: pandas("profiles"), replicate_map)
    if find_spec("harmonypy"):
        import harmonypy

        def harmony(given):
            points, plate = given
            done = harmonypy.run_harmony(
                points.T, {"plate": plate.astype(str)}, "plate", nclust=100, verbose=False, ncores=1
            )
            result = np.asarray(done.Z_corr)
            return as_frame(result if result.shape == points.shape else result.T)

        cases["harmony"] = (
            lambda: components(pl.read_parquet(folder / "profiles.parquet")),
            harmony,
        )
    return cases


def measure(prepare, function, repeats: int = 3) -> dict[str, object]:
    """Median seconds, memory beyond the input in GiB, and the result's sorted numbers."""
    warnings.simplefilter("ignore")
    given = prepare()
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts here
    before, seconds, extra = memory("VmRSS"), [], 0.0
    for repeat in range(repeats):
        start = time.perf_counter()
        result = function(given)
        seconds.append(time.perf_counter() - start)
        if repeat == 0:
            extra = memory("VmHWM") - before
        if seconds[0] > 60:
            break
    frame = result if isinstance(result, pl.DataFrame) else pl.from_pandas(result)
    sorts = [name for name in ("Metadata_Plate", "Metadata_Well") if name in frame.columns]
    numbers = frame.sort(sorts) if sorts else frame
    features = [name for name in numbers.columns if name.startswith("Cells_")]
    if "mean_average_precision" in numbers.columns:
        numbers, features = numbers.sort("Metadata_Perturbation"), ["mean_average_precision"]
    sums = {name: float(numbers[name].cast(pl.Float64).abs().sum()) for name in features}
    return {"seconds": float(np.median(seconds)), "gib": extra, "sums": sums}


def memory(field: str) -> float:
    """A memory figure of this process in GiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 2**20
    return float("nan")


def in_a_process(library: str, case: str, folder: Path, quick: bool) -> dict | None:
    """Run one case of one library in a new interpreter."""
    command = [sys.executable, __file__, "--child", library, case, str(folder)]
    done = subprocess.run(
        command + ["--quick"] * quick, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--child", nargs=3, metavar=("LIBRARY", "CASE", "FOLDER"))
    arguments = parser.parse_args()
    size = QUICK if arguments.quick else FULL
    if arguments.child:
        library, case, folder = arguments.child
        cases = phenolake_cases if library == "phenolake" else peer_cases
        print(json.dumps(measure(*cases(Path(folder), size)[case])))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, size)
        if not arguments.cases or LAKE_CASE in arguments.cases:
            write_lake(folder, size)
        peers = peer_cases(folder, size)
        print(f"{size}, {os.cpu_count()} cores")
        print(f"{'':46}{'phenolake':>18}{'peer':>18}{'faster':>9}  largest difference")
        for case in arguments.cases or phenolake_cases(folder, size):
            ours = in_a_process("phenolake", case, folder, arguments.quick)
            theirs = in_a_process("peer", case, folder, arguments.quick) if case in peers else None
            print(line(case, ours, theirs), flush=True)


def line(case: str, ours: dict | None, theirs: dict | None) -> str:
    """One row of the printed table."""
    cells = [
        f"{found['seconds']:8.3f} s {found['gib']:4.2f} GiB" if found else "-"
        for found in (ours, theirs)
    ]
    row = f"{case:46}{cells[0]:>18}{cells[1]:>18}"
    if ours and theirs:
        shared = ours["sums"].keys() & theirs["sums"].keys()
        gap = max(
            (
                abs(ours["sums"][n] - theirs["sums"][n]) / max(theirs["sums"][n], 1e-300)
                for n in shared
            ),
            default=float("nan"),
        )
        row += f"{theirs['seconds'] / ours['seconds']:8.1f}x  {gap:.1e} (relative, of column sums)"
        only = len(ours["sums"]) - len(shared), len(theirs["sums"]) - len(shared)
        if any(only):
            row += f"; features only here {only[0]}, only there {only[1]}"
    return row


if __name__ == "__main__":
    main()
