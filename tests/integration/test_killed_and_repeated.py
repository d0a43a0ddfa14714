"""A run killed at any place and started again, or run on more processes, gives the same tables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from phenolake.lake import Lake
from phenolake.tables import TABLES
from plates import write_screen
from scenario import contents, failure_of, installation

SCRIPT = Path(__file__).with_name("killed_run.py")
PATIENCE_S = 180
PLACES = [
    "segmentation_masks",
    "single_cell_features",
    "before the commit of single_cell_features",
    "after the commit of segmentation_masks",
]


@pytest.fixture(scope="module")
def screen(tmp_path_factory) -> Path:
    return write_screen(tmp_path_factory.mktemp("images") / "gfp")


@pytest.fixture(scope="module")
def undisturbed(screen, tmp_path_factory) -> Lake:
    with installation(tmp_path_factory.mktemp("undisturbed")) as home:
        home.add(screen)
        run = home.run_plate("gfp", "P1")
        assert run.success, failure_of(run)
        return home.lake


def kill_at(place: str, home: Path, screen: Path, marker: Path) -> None:
    """Start the plate's run in a process of its own and kill it when it reaches a place."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(home), str(screen), place, str(marker)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE_S
    while not marker.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    assert marker.exists(), f"the run never got to {place}:\n{output}"
    assert process.returncode == -signal.SIGKILL


def assert_same_tables(lake: Lake, other: Lake) -> None:
    assert lake.tables() == other.tables()
    for _, name in lake.tables():
        rows = contents(lake, name)
        assert rows.select(TABLES[name].key).is_unique().all(), name
        assert_frame_equal(rows, contents(other, name), check_column_order=True)


@pytest.mark.parametrize("place", PLACES)
def test_a_plate_killed_and_run_again_has_the_tables_of_an_undisturbed_run(
    place, screen, undisturbed, tmp_path
):
    kill_at(place, tmp_path / "home", screen, tmp_path / "marker")
    with installation(tmp_path / "home") as home:
        # What a reader sees in between: whole tables or none.
        for _, name in home.lake.tables():
            assert_frame_equal(contents(home.lake, name), contents(undisturbed, name))
        home.add(screen)
        run = home.run_plate("gfp", "P1")
        assert run.success, failure_of(run)
        assert_same_tables(home.lake, undisturbed)
        counted = home.lake.sql("select count(*) as n from silver.single_cell_features")["n"].item()
        assert counted == undisturbed.read("single_cell_features").height


def test_a_plate_killed_while_it_is_replaced_keeps_its_old_version(screen, undisturbed, tmp_path):
    with installation(tmp_path / "home") as home:
        home.add(screen)
        assert home.run_plate("gfp", "P1").success
        before = home.lake.version("single_cell_features")
    kill_at("single_cell_features", tmp_path / "home", screen, tmp_path / "marker")
    lake = home.lake
    assert lake.version("single_cell_features") == before
    assert_same_tables(lake, undisturbed)


def test_two_processes_give_the_tables_of_one(screen, undisturbed, tmp_path):
    with installation(tmp_path / "home", workers=2) as home:
        home.add(screen)
        run = home.run_plate("gfp", "P1")
        assert run.success, failure_of(run)
        assert_same_tables(home.lake, undisturbed)


def test_running_again_leaves_one_set_of_rows(screen, undisturbed, tmp_path):
    with installation(tmp_path / "home") as home:
        home.add(screen)
        for _ in range(2):
            assert home.run_plate("gfp", "P1").success
        assert_same_tables(home.lake, undisturbed)
        first = home.lake.read("well_profiles", version=0)
        assert_frame_equal(first, home.lake.read("well_profiles"))
        assert first.filter(pl.col("Metadata_CellCount") == 0).is_empty()
