"""Several processes write at once, some die; no row is lost, doubled or mixed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lake.lake_frames import PLATE, plate, profiles
from lake.writer_process import ROWS, frame
from phenolake.lake import Lake
from phenolake.lake.delta_writer import Target, commit
from phenolake.lake.newest import newest_to_write
from phenolake.lake.parquet_parts import PartWriter
from phenolake.lake.snapshot import Snapshot
from phenolake.tables import WELL_PROFILES

SCRIPT = Path(__file__).with_name("writer_process.py")


def start(lake: Lake, plates: str, times: int, moment: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), lake.uri, plates, str(times), moment],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )


def values(lake: Lake, name: str = "P1") -> list[float]:
    return lake.read("well_profiles", plate(name))["Cells_A"].to_list()


def test_four_processes_write_different_plates_and_the_same_plate(lake):
    writers = [start(lake, f"own{number},shared", 4) for number in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    counts = dict(
        lake.sql("select Metadata_Plate, count(*) from gold.well_profiles group by 1").iter_rows()
    )
    assert counts == dict.fromkeys(("own0", "own1", "own2", "own3", "shared"), ROWS)
    shared = set(values(lake, "shared"))
    assert len(shared) == 1
    assert shared <= {float(writer.pid) for writer in writers}
    history = lake.history("well_profiles")
    assert len(history) == 4 * 4 * 2
    for writer in writers:
        assert sum(entry["phenolake_run_id"] == str(writer.pid) for entry in history) == 8


def test_two_first_writes_of_a_plate_leave_one(lake):
    """Both saw the table before either committed: Delta alone would keep both."""
    lake.write(WELL_PROFILES, profiles(1), plate("other"))
    target = Target(lake.location, "gold", "well_profiles", PLATE)
    filesystem = lake.location.filesystem("gold", "well_profiles")

    rows = lake.read("well_profiles", columns=list(WELL_PROFILES.column_names)).to_arrow()

    def write(value: float) -> None:
        with PartWriter(lake.location, filesystem, "x") as writer:
            writer.add(rows)
        commit(target, WELL_PROFILES.arrow_schema(), writer.parts, {"value": str(value)})

    seen = [Snapshot.open(lake.location, "gold", "well_profiles") for _ in range(2)]

    def as_before(*place: object) -> Snapshot | None:
        return seen.pop() if seen else newest_to_write(*place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("phenolake.lake.commits.newest_to_write", as_before)
        write(1.0)
        write(2.0)
    assert not seen
    assert len(lake.read("well_profiles", version=lake.version("well_profiles"))) == 2
    assert len(DeltaTable(lake.table_uri("well_profiles")).file_uris()) == 2


@pytest.mark.parametrize(
    ("moment", "writes"),
    [
        ("while streaming", 2),
        ("before the commit", 1),
        ("before the commit", 2),
        ("after the commit", 1),
    ],
)
def test_a_killed_writer_leaves_the_old_or_the_new_rows_and_a_rerun_completes(lake, moment, writes):
    process = start(lake, "P1", writes, moment)
    assert process.wait() == -signal.SIGKILL
    if moment == "after the commit":
        assert values(lake) == [writes - 1.0] * ROWS
    elif writes == 1:
        assert not lake.exists("well_profiles")
    else:
        assert values(lake) == [0.0] * ROWS
    lake.write(WELL_PROFILES, frame(9.0), PLATE)
    assert values(lake) == [9.0] * ROWS
    assert lake.sql("select count(*) from gold.well_profiles").item() == ROWS


@pytest.mark.slow
def test_kills_at_random_moments_never_mix_versions(lake):
    moments = random.Random(0)
    for _ in range(3):
        process = start(lake, "P1,P2", 10_000, "never")
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.wait()
        process.stdout.close()
        for name in ("P1", "P2"):
            found = values(lake, name) if lake.exists("well_profiles") else []
            assert len(found) in {0, ROWS}
            assert len(set(found)) <= 1
    lake.write(WELL_PROFILES, frame(9.0), PLATE)
    assert values(lake) == [9.0] * ROWS


def test_a_lake_works_in_spawned_workers(lake):
    lake.write(WELL_PROFILES, profiles(), PLATE)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(lake.version, ("well_profiles",)) == 0
        commit = pool.apply(lake.write, (WELL_PROFILES, profiles(2), plate("P2")))
    assert (commit.version, commit.rows) == (1, 2)
    assert lake.read("well_profiles").height == 5


def test_a_lost_race_to_create_the_table_is_tried_again(lake, monkeypatch):
    lake.write(WELL_PROFILES, profiles(1), plate("P0"))
    from phenolake.lake import delta_writer

    real, calls = delta_writer.Snapshot.open, []

    def blind_once(location, layer, name, version=None):
        calls.append(name)
        return None if len(calls) <= 2 else real(location, layer, name, version)

    monkeypatch.setattr(delta_writer.Snapshot, "open", blind_once)
    lake.write(WELL_PROFILES, profiles(2), plate("P1"))
    monkeypatch.undo()
    assert lake.read("well_profiles").height == 3
