"""Faults and what is left of a lake after them: one `Outcome` for each, a row of the table."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow.fs as arrow_fs
from deltalake import DeltaTable

from chaos.fault_proxy import FaultProxy
from chaos.workload import TABLES, rows_of, run_plate, table_hash, where
from phenolake.errors import LakeLocationError
from phenolake.lake import Lake
from phenolake.lake.maintenance import maintain

SCRIPT = Path(__file__).with_name("workload.py")


@dataclass(frozen=True)
class Outcome:
    """How often a fault struck, and rows lost, keys doubled, files left that no vacuum removes."""

    fault: str
    times: int
    lost: int
    doubled: int
    stray: int
    equal: bool
    seconds_to_recover: float

    @property
    def harmless(self) -> bool:
        return self.equal and not (self.lost or self.doubled or self.stray)


def start(lake: Lake, plates: Iterable[str], generation: int) -> subprocess.Popen[str]:
    """A process that runs plates; it has begun when this returns."""
    paths = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), *sys.path]))
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), lake.uri, ",".join(plates), str(generation)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n", process.communicate()[1]
    return process


def end(process: subprocess.Popen[str]) -> None:
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "done" in output


def judge(
    fault: str, times: int, lake: Lake, generations: dict[str, int], seconds: float
) -> Outcome:
    """Compare every table with what an undisturbed run of these plates has."""
    lost = doubled = stray = 0
    equal = True
    for table in TABLES:
        expected = pl.concat(
            rows_of(table, plate, generation).with_columns(
                *(pl.lit(value).alias(name) for name, value in where(plate).items())
            )
            for plate, generation in generations.items()
        )
        found = lake.read(table.name).select(expected.columns)
        keys = list(dict.fromkeys([*table.partition_by, *table.key]))
        doubled += found.height - found.select(keys).unique().height
        lost += expected.join(found, on=keys, how="anti").height
        equal &= table_hash(expected, table) == table_hash(found, table)
        stray += len(stray_files(lake, table.name))
    return Outcome(fault, times, lost, doubled, stray, equal, seconds)


def stray_files(lake: Lake, name: str) -> set[str]:
    """Files that are neither active nor removed by a vacuum that keeps nothing old."""
    delta = DeltaTable(lake.table_uri(name), storage_options=dict(lake.location.options))
    doomed = delta.vacuum(0, dry_run=True, full=True, enforce_retention_duration=False)
    active = {uri.removeprefix(lake.table_uri(name)).lstrip("/") for uri in delta.file_uris()}
    layer = lake.table_uri(name).rsplit("/", 2)[1]
    listed = lake.location.filesystem(layer, name).get_file_info(
        arrow_fs.FileSelector("", recursive=True)
    )
    data = {
        info.path
        for info in listed
        if info.type == arrow_fs.FileType.File and not info.path.startswith("_delta_log/")
    }
    return data - active - set(doomed)


def killed(folder: Path, times: int, seed: int = 0) -> Outcome:
    """SIGKILL at random moments of a plate's run, each followed by the run again."""
    lake, rng = Lake(str(folder / "lake")), random.Random(seed)
    started = time.monotonic()
    end(start(lake, ["P1"], 0))
    length = time.monotonic() - started
    recovery = 0.0
    for generation in range(1, times + 1):
        process = start(lake, ["P1"], generation)
        time.sleep(rng.uniform(0, length / 2))
        process.kill()
        process.communicate()
        for table in TABLES:  # what a reader sees now: the old rows or the new ones
            rows = lake.read(table.name, where("P1"))
            old, new = (rows_of(table, "P1", g) for g in (generation - 1, generation))
            seen = table_hash(
                rows.select(["Metadata_Screen", "Metadata_Plate", *old.columns]), table
            )
            assert seen in {table_hash(_placed(frame), table) for frame in (old, new)}, table.name
        started = time.monotonic()
        end(start(lake, ["P1"], generation))
        recovery = max(recovery, time.monotonic() - started)
    return judge("SIGKILL in a plate's run", times, lake, {"P1": times}, recovery)


def _placed(frame: pl.DataFrame) -> pl.DataFrame:
    places = [pl.lit(value).alias(name) for name, value in where("P1").items()]
    return frame.with_columns(places).select(["Metadata_Screen", "Metadata_Plate", *frame.columns])


def many_writers(folder: Path, processes: int, plates: int) -> Outcome:
    """Processes that write plates of their own into the same tables."""
    lake = Lake(str(folder / "lake"))
    names = [[f"P{process}-{plate}" for plate in range(plates)] for process in range(processes)]
    running = [start(lake, own, 1) for own in names]
    for process in running:
        end(process)
    generations = dict.fromkeys((plate for own in names for plate in own), 1)
    fault = f"{processes} processes x {plates} plates at once"
    return judge(fault, processes * plates, lake, generations, 0.0)


def same_plate(folder: Path, times: int) -> Outcome:
    """Two runs of one plate at once: the tables hold one of the two, each table whole."""
    lake = Lake(str(folder / "lake"))
    for turn in range(times):
        for process in [start(lake, ["P1"], 2 * turn), start(lake, ["P1"], 2 * turn + 1)]:
            end(process)
        for table in TABLES:
            rows = lake.read(table.name, where("P1"))
            frames = [_placed(rows_of(table, "P1", 2 * turn + one)) for one in (0, 1)]
            seen = table_hash(rows.select(frames[0].columns), table)
            assert seen in {table_hash(frame, table) for frame in frames}, table.name
    started = time.monotonic()
    end(start(lake, ["P1"], 99))
    seconds = time.monotonic() - started
    return judge("one plate from two runs at once", times, lake, {"P1": 99}, seconds)


def faulty_store(lake: Lake, proxy: FaultProxy, fault: str, share: float, plates: int) -> Outcome:
    """Plates written while the store answers some requests with a fault."""
    generations: dict[str, int] = {}
    recovery, faults = 0.0, 0
    for number in range(plates):
        plate = f"P{number}"
        with proxy.doing(fault, share):
            started = time.monotonic()
            for _ in range(5):  # what Dagster does with a run that failed by its store
                try:
                    run_plate(lake, plate, number)
                    break
                except Exception as error:
                    print(f"{fault}: run again after {type(error).__name__}", file=sys.stderr)
            recovery = max(recovery, time.monotonic() - started)
            faults += proxy.faults
        generations[plate] = number
    return judge(f"store: {fault}", faults, lake, generations, recovery)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own in memory; only root can make one."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def can_mount() -> bool:
    """Whether `small_disk` works here."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    folder = Path("/tmp/phenolake-mount-test")
    try:
        with small_disk(folder, "1m"):
            return True
    except subprocess.CalledProcessError:
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remounted(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def full_disk(folder: Path, times: int) -> Outcome:
    """The disk fills up in a plate's run; there is room again, and it is run again."""
    with small_disk(folder / "disk", "64m") as disk:
        lake = Lake(str(disk / "lake"))
        run_plate(lake, "P1", 0)
        generation, recovery = 0, 0.0
        for turn in range(times):
            used = shutil.disk_usage(disk).used
            remounted(disk, f"size={(used >> 10) + 4 + 12 * (turn % 10)}k")
            before = {table.name: lake.version(table.name) for table in TABLES}
            generation += 1
            refused = _refusal(lake, generation)
            assert refused is not None, "the disk was not full"
            assert "no space left" in refused, refused
            for table in TABLES:
                assert lake.version(table.name) >= before[table.name]
                assert lake.read(table.name).height == len(rows_of(table, "P1", 0))
            remounted(disk, "size=64m")
            started = time.monotonic()
            run_plate(lake, "P1", generation)
            recovery = max(recovery, time.monotonic() - started)
        return judge("disk full", times, lake, {"P1": generation}, recovery)


def read_only_disk(folder: Path, times: int) -> Outcome:
    """The lake's disk turns read-only, and back."""
    with small_disk(folder / "disk", "64m") as disk:
        lake = Lake(str(disk / "lake"))
        run_plate(lake, "P1", 0)
        recovery = 0.0
        for generation in range(1, times + 1):
            remounted(disk, "ro")
            refused = _refusal(lake, generation)
            assert refused is not None
            assert "can't be written" in refused, refused
            remounted(disk, "rw")
            started = time.monotonic()
            run_plate(lake, "P1", generation)
            recovery = max(recovery, time.monotonic() - started)
        return judge("lake turned read-only", times, lake, {"P1": times}, recovery)


def clock_an_hour_off(folder: Path, times: int) -> Outcome:
    """Writers whose clocks are an hour ahead and an hour behind, with maintenance after each."""
    lake = Lake(str(folder / "lake"))
    run_plate(lake, "P1", 0)
    started = time.monotonic()
    for generation in range(1, times + 1):
        run_plate(lake, "P1", generation)
        shift = 3600 if generation % 2 else -3600
        for path in Path(lake.uri).rglob("*.parquet"):
            moment = path.stat().st_mtime + shift
            os.utime(path, (moment, moment))
        for done in maintain(lake, retention=timedelta(days=1)):
            assert done.deleted == 0
        for table in TABLES:  # the version before is still whole
            assert lake.read(table.name, version=generation - 1).height == len(
                rows_of(table, "P1", 0)
            )
    seconds = time.monotonic() - started
    return judge("clock an hour off", times, lake, {"P1": times}, seconds / times)


def _refusal(lake: Lake, generation: int) -> str | None:
    try:
        run_plate(lake, "P1", generation)
    except LakeLocationError as error:
        return str(error)
    return None
