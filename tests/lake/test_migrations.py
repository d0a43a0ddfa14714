"""Tables of an older release are opened as they are, and brought to newer declarations."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pyarrow as pa
import pytest

from lake.lake_frames import PLATE, plate, profiles
from phenolake.errors import LakeError
from phenolake.lake.migrations import MIGRATIONS, Migration, migrate, outdated
from phenolake.tables import TABLES, WELL_PROFILES, Column


def newer(version: int = 2) -> object:
    """The declaration of well profiles with the site count renamed and made a float."""
    columns = tuple(
        Column("Metadata_Sites", pa.float64(), "sites", nullable=False)
        if column.name == "Metadata_SiteCount"
        else column
        for column in WELL_PROFILES.columns
    )
    return replace(WELL_PROFILES, columns=columns, version=version)


RENAME = Migration(
    "well_profiles", 2, lambda rows: rows.rename({"Metadata_SiteCount": "Metadata_Sites"})
)


@pytest.fixture
def old_lake(lake, monkeypatch):
    lake.write(WELL_PROFILES, profiles(2, 1.0), plate("P1"), run_id="one")
    lake.write(WELL_PROFILES, profiles(3, 2.0, ("Cells_A", "Cells_B")), plate("P2"), run_id="two")
    monkeypatch.setitem(TABLES, "well_profiles", newer())
    return lake


def test_every_declared_version_can_be_reached():
    for name, table in TABLES.items():
        steps = {m.to_version for m in MIGRATIONS if m.table == name}
        assert steps == set(range(2, table.version + 1))


def test_an_outdated_table_is_rewritten_in_one_commit(old_lake):
    before = old_lake.read("well_profiles", version=1)
    (done,) = migrate(old_lake, [RENAME])
    assert (done.from_version, done.to_version, done.rows, done.version) == (1, 2, 5, 2)
    rows = old_lake.read("well_profiles")
    assert rows["Metadata_Sites"].dtype == pl.Float64
    assert rows["Metadata_Sites"].to_list() == [2.0] * 5
    assert "Metadata_SiteCount" not in rows.columns
    assert rows["Cells_B"].null_count() == 2
    assert rows["Cells_A"].to_list() == before["Cells_A"].to_list()
    assert list(outdated(old_lake)) == []
    assert list(migrate(old_lake, [RENAME])) == []
    old_lake.write(newer(), rows.filter(pl.col("Metadata_Plate") == "P1"), PLATE)
    assert old_lake.sql("select sum(Metadata_Sites) from gold.well_profiles").item() == 10


def test_lineage_still_names_the_runs_that_made_the_rows(old_lake):
    list(migrate(old_lake, [RENAME]))
    found = old_lake.sql("select run_id, table_version from lineage.partitions order by 1")
    assert found.rows() == [("one", 2), ("two", 2)]


def test_a_step_that_is_missing_is_named(old_lake):
    with pytest.raises(LakeError, match="the step to version 2 is not known"):
        list(migrate(old_lake, []))
    assert old_lake.version("well_profiles") == 1


def test_a_table_of_a_newer_release_asks_for_an_update(lake):
    lake.write(replace(WELL_PROFILES, version=3), profiles(), PLATE)
    with pytest.raises(LakeError, match="update Phenolake"):
        list(migrate(lake))


def test_a_write_during_the_migration_wins(old_lake):
    def slow(rows: pl.DataFrame) -> pl.DataFrame:
        old_lake.write(WELL_PROFILES, profiles(1, 9.0), plate("P3"))
        return RENAME.change(rows)

    with pytest.raises(LakeError, match="written while it was migrated"):
        list(migrate(old_lake, [replace(RENAME, change=slow)]))
    assert old_lake.read("well_profiles", plate("P3"))["Cells_A"].to_list() == [9.0]
