"""Maintenance changes no row, keeps what readers may still need and deletes the rest."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from lake.lake_frames import PLATE, plate, profiles
from phenolake.errors import ConfigurationError, LakeError
from phenolake.lake import Lake, maintenance
from phenolake.lake.maintenance import Upkeep, maintain
from phenolake.tables import WELL_PROFILES

ODD_NAMES = ("007", "P ü%[x]*", "漢" * 60, "a=b c", "..")


def files(lake: Lake) -> list[Path]:
    return sorted(Path(lake.uri).rglob("*.parquet"))


def data_files(lake: Lake) -> list[Path]:
    return [path for path in files(lake) if "_delta_log" not in path.parts]


def age(lake: Lake, days: float) -> None:
    """Make the lake look as if everything in it had been done so many days ago."""
    moment = time.time() - days * 86_400
    for path in Path(lake.uri).rglob("*.parquet"):
        os.utime(path, (moment, moment))
    for log in Path(lake.uri).rglob("*.json"):
        text = log.read_text()
        now = int(time.time() * 1000)
        for name in ("deletionTimestamp", "timestamp", "modificationTime"):
            text = _earlier(text, f'"{name}":', int(days * 86_400_000), now)
        log.write_text(text)
        os.utime(log, (moment, moment))


def _earlier(text: str, key: str, shift: int, now: int) -> str:
    first, *rest = text.split(key)
    out = [first]
    for part in rest:
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        out.append(f"{min(int(digits), now) - shift}{part[len(digits) :]}" if digits else part)
    return key.join(out)


def sorted_rows(lake: Lake, version: int | None = None) -> pl.DataFrame:
    rows = lake.read("well_profiles", version=version)
    return rows.sort("Metadata_Plate", "Metadata_Well")


def tidy(lake: Lake, **options: object) -> Upkeep:
    (done,) = maintain(lake, **options)  # type: ignore[arg-type]
    return done


def test_files_of_recent_versions_stay_however_old_the_files_are(lake):
    for value in (1.0, 2.0):
        lake.write(WELL_PROFILES, profiles(3, value), PLATE)
    moment = time.time() - 365 * 86_400
    for path in data_files(lake):
        os.utime(path, (moment, moment))
    done = tidy(lake)
    assert (done.deleted, done.rows, done.files) == (0, 3, 1)
    assert lake.read("well_profiles", version=0)["Cells_A"].to_list() == [1.0] * 3


def test_files_that_no_recent_version_needs_are_deleted_and_all_rows_stay(lake):
    for value in (1.0, 2.0):
        for name in ODD_NAMES:
            lake.write(WELL_PROFILES, profiles(3, value), plate(name))
    rows = sorted_rows(lake)
    age(lake, 8)
    assert tidy(lake, dry_run=True).deleted == len(ODD_NAMES)
    assert len(data_files(lake)) == 2 * len(ODD_NAMES)
    assert tidy(lake).deleted == len(ODD_NAMES)
    assert len(data_files(lake)) == len(ODD_NAMES)
    assert sorted_rows(lake).equals(rows)
    with pytest.raises(LakeError, match="older than what is kept"):
        lake.read("well_profiles", version=0)
    assert tidy(lake).deleted == 0


def test_what_a_killed_writer_left_is_deleted_once_it_is_old(lake):
    lake.write(WELL_PROFILES, profiles(), PLATE)
    orphan = data_files(lake)[0].with_name(f"00000-{'0' * 16}-{'f' * 32}.parquet")
    orphan.write_bytes(b"half a file")
    assert tidy(lake).deleted == 0
    moment = time.time() - 8 * 86_400
    os.utime(orphan, (moment, moment))
    assert tidy(lake).deleted == 1
    assert not orphan.exists()
    assert lake.read("well_profiles").height == 3


def test_a_clock_an_hour_off_deletes_nothing_that_is_needed(lake):
    for value in (1.0, 2.0):
        lake.write(WELL_PROFILES, profiles(3, value), PLATE)
    age(lake, 1 - 2 / 24)  # a day old by a clock that is an hour ahead, an hour short of it by ours
    assert tidy(lake, retention=timedelta(days=1)).deleted == 0
    age(lake, -3 / 24)  # written by a clock that is ahead of ours
    assert tidy(lake, retention=timedelta(days=1)).deleted == 0
    assert lake.read("well_profiles", version=0).height == 3


def test_a_retention_under_a_day_is_refused_in_one_sentence(lake):
    with pytest.raises(ConfigurationError, match="at least a day"):
        next(maintain(lake, retention=timedelta(hours=23)))


def scattered_rows() -> Iterator[pl.DataFrame]:
    """Rows whose columns grow: each new set of columns starts a file."""
    for number in range(3):
        names = tuple(f"Cells_{letter}" for letter in "ABC"[: number + 1])
        wells = pl.Series("Metadata_Well", [f"A{2 * number + 1:02d}", f"A{2 * number + 2:02d}"])
        yield profiles(2, float(number), names).with_columns(wells)


def test_small_files_of_a_partition_are_joined_with_the_same_rows_in_the_same_order(lake):
    lake.write(WELL_PROFILES, scattered_rows(), PLATE)
    lake.write(WELL_PROFILES, profiles(1), plate("P2"))
    before = lake.read("well_profiles", PLATE)
    done = tidy(lake, run_id="night")
    assert (done.joined, done.files) == (3, 2)
    assert lake.read("well_profiles", PLATE).equals(before)
    assert lake.sql("select sum(Cells_B) from gold.well_profiles").item() == before["Cells_B"].sum()
    assert tidy(lake).joined == 0
    operations = lake.sql("select operation, run_id from lineage.commits order by version").rows()
    assert operations[-1] == ("compact", "night")


def test_a_writer_that_replaces_a_partition_while_it_is_joined_wins(lake, monkeypatch):
    lake.write(WELL_PROFILES, scattered_rows(), PLATE)
    batches = maintenance.row_group_batches

    def overtaken(*arguments):
        lake.write(WELL_PROFILES, profiles(4, 9.0), PLATE)
        return batches(*arguments)

    monkeypatch.setattr(maintenance, "row_group_batches", overtaken)
    assert tidy(lake).joined == 0
    assert lake.read("well_profiles")["Cells_A"].to_list() == [9.0] * 4


def test_a_reader_keeps_its_answer_while_its_version_is_maintained(lake):
    lake.write(WELL_PROFILES, scattered_rows(), PLATE)
    query = "select sum(Cells_A), count(*) from gold.well_profiles"
    with lake.connect() as connection:
        before = connection.sql(query).fetchall()
        lake.write(WELL_PROFILES, profiles(9, 7.0), PLATE)
        tidy(lake)
        assert connection.sql(query).fetchall() == before


def test_a_grown_log_gets_a_checkpoint_that_readers_start_from(lake):
    for number in range(15):
        lake.write(WELL_PROFILES, profiles(1, float(number)), plate(f"P{number % 3}"))
    assert tidy(lake).checkpointed
    assert not tidy(lake).checkpointed
    assert sorted_rows(lake)["Cells_A"].to_list() == [12.0, 13.0, 14.0]
    assert sorted_rows(lake, version=4).height == 3


def test_a_longer_retention_is_told_to_the_table_so_that_checkpoints_remember(lake):
    for value in (1.0, 2.0):
        lake.write(WELL_PROFILES, profiles(3, value), PLATE)
    age(lake, 20)
    assert tidy(lake, retention=timedelta(days=30)).deleted == 0
    assert lake.read("well_profiles", version=0).height == 3
    lake.write(WELL_PROFILES, profiles(3, 3.0), PLATE)
    assert tidy(lake, retention=timedelta(days=30)).rows == 3


def test_a_reader_keeps_old_files_that_were_replaced_while_it_reads(lake):
    lake.write(WELL_PROFILES, profiles(3, 1.0), PLATE)
    moment = time.time() - 365 * 86_400
    for path in data_files(lake):
        os.utime(path, (moment, moment))
    batches = lake.batches("well_profiles")
    with lake.connect() as connection:
        lake.write(WELL_PROFILES, profiles(2, 2.0), PLATE)
        assert tidy(lake, retention=timedelta(days=1)).rows == 2
        assert connection.sql("select sum(Cells_A) from gold.well_profiles").fetchall() == [(3.0,)]
        assert sum(batch.num_rows for batch in batches) == 3


def test_a_writer_keeps_its_files_while_the_table_is_maintained(lake):
    lake.write(WELL_PROFILES, profiles(3, 1.0), plate("P2"))

    def rows() -> Iterator[pl.DataFrame]:
        for part in scattered_rows():
            yield part
            assert tidy(lake, retention=timedelta(days=1)).deleted == 0

    commit = lake.write(WELL_PROFILES, rows(), PLATE)
    assert commit.rows == lake.read("well_profiles", PLATE).height == 6
