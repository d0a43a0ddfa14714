"""A lake that can't be written: one sentence, no half-written table, no retry."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from phenolake.lake.parquet_parts import PartWriter
from plates import write_screen
from scenario import failure_of, installation


@pytest.fixture
def screen(tmp_path) -> Path:
    return write_screen(tmp_path / "gfp", wells=("A01", "A02"))


def test_a_lake_uri_that_is_a_file_says_so(screen, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with installation(tmp_path / "home", lake_uri=str(tmp_path / "notes.txt")) as home:
        home.add(screen)
        run = home.run_plate("gfp", "P1")
    assert failure_of(run) == f"lake {tmp_path / 'notes.txt'}: this is a file; a lake is a folder"
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_read_only_lake_says_what_to_do(screen, tmp_path, monkeypatch):
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path))

    # The superuser may write everywhere, so that permissions can't make the lake read-only here.
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with installation(tmp_path / "home") as home:
        home.add(screen)
        run = home.run_plate("gfp", "P1")
        assert home.lake.tables() == []
    assert "can't be written" in failure_of(run)
    assert "PHENOLAKE_HOME" in failure_of(run)
    assert not any(event.event_type_value == "STEP_UP_FOR_RETRY" for event in run.all_events)


def test_a_disk_that_fills_up_leaves_the_old_version(screen, tmp_path, monkeypatch):
    with installation(tmp_path / "home") as home:
        home.add(screen)
        assert home.run_plate("gfp", "P1").success
        before = {name: home.lake.version(name) for _, name in home.lake.tables()}
        rows = home.lake.read("single_cell_features")

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(PartWriter, "_open_file", full)
        run = home.run_plate("gfp", "P1", only="single_cell_features")
        assert "no space left" in failure_of(run)
        assert {name: home.lake.version(name) for _, name in home.lake.tables()} == before
        assert home.lake.read("single_cell_features").equals(rows)
