"""Profiling steps: phenolake against pycytominer, copairs and harmonypy on the same data.

`python benchmarks/profiles.py [--quick] [--threads N] [CASE ...]` prints every ratio of one run.
`--lake 200` instead aggregates a table on disk of 200 plates of 100,000 cells x 1,000 features,
which takes 24 GB; `--folder` says where.
Each library runs each case in a process of its own, the two by turns. Seconds are medians: of
wall time, and of processor time, which says more on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "platform"))

from profile_cases import Case, aggregate_lake, cases, sources
from profile_data import write_lake

PEERS = ("pycytominer", "copairs", "harmonypy")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")
REPEATS, ENOUGH_SECONDS = 5, 20
LAKE_CELLS, LAKE_FEATURES = 100_000, 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="words of the names of cases; without any, all")
    parser.add_argument("--quick", action="store_true", help="about a tenth of the data")
    parser.add_argument("--threads", type=int, default=1, help="of both libraries")
    parser.add_argument("--lake", type=int, metavar="PLATES")
    parser.add_argument("--folder", help="for the lake, instead of a temporary folder")
    parser.add_argument("--child", nargs=3, metavar=("SIDE", "CASE", "FOLDER"))
    arguments = parser.parse_args()
    if arguments.child:
        side, name, place = arguments.child
        print(json.dumps(_run(side, name, Path(place))))
        return
    for variable in THREADS:
        os.environ[variable] = str(arguments.threads)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as place:
        if arguments.lake:
            _lake(Path(place), arguments.lake)
        else:
            _table(Path(place), arguments.cases, arguments.quick, arguments.threads)


def _table(folder: Path, wanted: list[str], quick: bool, threads: int) -> None:
    chosen = [case for case in cases() if not wanted or any(word in case.name for word in wanted)]
    make = sources(quick)
    for source in {case.source for case in chosen}:
        make[source]().write_parquet(folder / f"{source}.parquet", compression="lz4")
    missing = [name for name in PEERS if not find_spec(name)]
    if missing:
        print(f"not installed, so not compared with: {', '.join(missing)}")
    print(f"threads {threads}; seconds, memory beyond the input and in all, GiB")
    print(f"{'':30}{'ours':^35}{'peer':^35}{'faster':>8}{'':>9}")
    print(
        f"{'':30}" + 2 * f"{'wall':>9}{'CPU':>9}{'beyond':>9}{'all':>7} " + "   wall     CPU  asked"
    )
    for case in chosen:
        ours, theirs = (_in_a_process(side, case.name, folder) for side in ("ours", "theirs"))
        print(_line(case, ours, theirs, folder), flush=True)


def _lake(folder: Path, plates: int) -> None:
    print(f"{plates} plates of {LAKE_CELLS:,} cells x {LAKE_FEATURES} features")
    write_lake(folder / "cells", plates, LAKE_CELLS, LAKE_FEATURES)
    size = sum(file.stat().st_size for file in folder.rglob("*.parquet"))
    found = _in_a_process("lake", "lake", folder)
    if found:
        print(
            f"{size / 2**30:.1f} GiB on disk; {found['rows']} profiles; wall {found['wall']:.0f} s, "
            f"CPU {found['cpu']:.0f} s, memory in all {found['all']:.2f} GiB"
        )


def _in_a_process(side: str, case: str, folder: Path) -> dict[str, float] | None:
    """Run one case of one library in a new interpreter; None where it fails."""
    command = [sys.executable, __file__, "--child", side, case, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-600:], file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _run(side: str, name: str, folder: Path) -> dict[str, float]:
    warnings.simplefilter("ignore")
    if side == "lake":
        return _measured(aggregate_lake, folder / "cells", 1)[0]
    case = next(case for case in cases() if case.name == name)
    frame = pl.read_parquet(folder / f"{case.source}.parquet")
    if side == "theirs":
        figures, result = _measured(case.theirs, frame.to_pandas(), REPEATS)
    else:
        figures, result = _measured(case.ours, frame, REPEATS)
    table = result if isinstance(result, pl.DataFrame) else pl.from_pandas(result)
    table.write_parquet(folder / f"{side}.parquet")
    return figures


def _measured(function, given, repeats: int) -> tuple[dict[str, float], object]:
    """Median seconds, memory in GiB, and the result."""
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts here
    before, beyond, walls, cpus = _memory("VmRSS"), 0.0, [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), _cpu()
        result = function(given)
        walls.append(time.perf_counter() - wall)
        cpus.append(_cpu() - cpu)
        if len(walls) == 1:  # later ones may reuse what the first has left behind
            beyond, whole = _memory("VmHWM") - before, _memory("VmHWM")
        if sum(walls) > ENOUGH_SECONDS:
            break
    return {
        "wall": float(np.median(walls)),
        "cpu": float(np.median(cpus)),
        "beyond": beyond,
        "all": whole,
        "rows": len(result),
    }, result


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory(field: str) -> float:
    """A memory figure of this process in GiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 2**20
    return float("nan")


def _line(
    case: Case, ours: dict[str, float] | None, theirs: dict[str, float] | None, folder: Path
) -> str:
    row = f"{case.name:30}"
    for found in (ours, theirs):
        row += (
            f"{found['wall']:9.3f}{found['cpu']:9.3f}{found['beyond']:9.2f}{found['all']:7.2f} "
            if found
            else f"{'-':>34} "
        )
    if not (ours and theirs):
        return row
    asked = f"{case.asked:g}x" if case.asked else ""
    row += f"{theirs['wall'] / ours['wall']:6.1f}x{theirs['cpu'] / ours['cpu']:7.1f}x{asked:>7}"
    return f"{row}  {_difference(case, folder)}"


def _difference(case: Case, folder: Path) -> str:
    """How far the two results are apart, in words."""
    ours, theirs = (pl.read_parquet(folder / f"{side}.parquet") for side in ("ours", "theirs"))
    mine, other = ([c for c in t.columns if not c.startswith("Metadata_")] for t in (ours, theirs))
    if case.compare == "features":
        return f"kept {len(mine)}, peer {len(other)}, both {len({*mine} & {*other})}"
    shared = [name for name in mine if name in set(other)]
    if case.keys:
        ours, theirs = ours.sort(case.keys), theirs.sort(case.keys)
    a, b = (table.select(shared).cast(pl.Float64).to_numpy() for table in (ours, theirs))
    both = np.isfinite(a) & np.isfinite(b)
    if case.compare == "movement":
        given = pl.read_parquet(folder / f"{case.source}.parquet").select(shared).to_numpy()
        apart = np.linalg.norm(a - b) / np.linalg.norm(b - given)
        return f"apart by {apart:.3f} of how far the peer moved the wells"
    apart = np.abs(a - b)[both].max() / np.abs(b[both]).max()
    return f"largest difference {apart:.1e} of the largest value, {len(shared)} columns"


if __name__ == "__main__":
    main()
