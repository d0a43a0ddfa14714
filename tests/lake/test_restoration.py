"""A table or a plate goes back to an earlier version in one commit, and lineage follows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from lake.lake_frames import PLATE, plate, profiles
from phenolake.errors import LakeError, TableMissingError, TableSchemaError
from phenolake.tables import QUARANTINE, WELL_PROFILES


@pytest.fixture
def written(lake):
    """Plates P1 and `P ü%` in versions 0 and 1, again with other values in 2 and 3."""
    for value in (1.0, 2.0):
        for name in ("P1", "P ü%"):
            lake.write(WELL_PROFILES, profiles(3, value), plate(name), run_id=f"{name} {value:g}")
    return lake


def value(lake, name: str) -> float:
    return lake.read("well_profiles", plate(name))["Cells_A"].unique().item()


def test_one_plate_goes_back_and_the_others_stay(written):
    before = len(list(Path(written.uri).rglob("*.parquet")))
    commit = written.restore("well_profiles", 1, plate("P ü%"), run_id="me")
    assert (commit.version, commit.rows) == (4, 3)
    assert (value(written, "P ü%"), value(written, "P1")) == (1.0, 2.0)
    assert len(list(Path(written.uri).rglob("*.parquet"))) == before
    assert written.read("well_profiles", version=3)["Cells_A"].to_list() == [2.0] * 6


def test_a_whole_table_goes_back_and_forth(written):
    written.restore("well_profiles", 0)
    assert written.read("well_profiles").height == 3
    assert value(written, "P1") == 1.0
    written.restore("well_profiles", 3)
    written.restore("well_profiles", 3)
    assert written.read("well_profiles")["Cells_A"].to_list() == [2.0] * 6
    assert written.sql("select count(*) from gold.well_profiles").item() == 6
    written.write(WELL_PROFILES, profiles(1, 5.0), PLATE)
    assert written.read("well_profiles").height == 4


def test_a_plate_that_was_not_there_yet_is_empty_again(written):
    written.restore("well_profiles", 0, plate("P ü%"))
    assert written.read("well_profiles")["Metadata_Plate"].unique().to_list() == ["P1"]


def test_columns_that_came_later_stay_and_are_null(written):
    written.write(WELL_PROFILES, profiles(3, 4.0, ("Cells_A", "Cells_B")), PLATE)
    written.restore("well_profiles", 3)
    rows = written.sql("select count(Cells_B) b, count(*) n from gold.well_profiles")
    assert rows.row(0) == (0, 6)


def test_a_mart_goes_back_with_its_columns(lake):
    lake.write_mart("hits", pa.table({"a": [1]}))
    lake.write_mart("hits", pa.table({"b": ["x", "y"]}))
    lake.restore("hits", 0)
    assert lake.read("hits").to_dict(as_series=False) == {"a": [1]}


def test_a_plate_of_a_table_with_finer_partitions_goes_back_whole(lake):
    for got in ("old", "new"):
        for stage in ("one", "two"):
            rows = pa.table(
                {"number": [0], "problem": ["odd"], "found_at": [datetime.now(UTC)], "got": [got]}
            )
            lake.write(QUARANTINE, rows, {**PLATE, "stage": stage})
    lake.restore("quarantine", 1, PLATE)
    assert lake.read("quarantine")["got"].to_list() == ["old", "old"]


def test_what_can_not_be_restored_is_said_in_one_sentence(written):
    with pytest.raises(LakeError, match="newest version is 3"):
        written.restore("well_profiles", 9)
    with pytest.raises(TableMissingError):
        written.restore("plate_map", 0)
    with pytest.raises(TableSchemaError, match="only whole partitions"):
        written.restore("well_profiles", 0, {"Metadata_Well": "A01"})
    for path in Path(written.uri).rglob("*.parquet"):
        if "Metadata_Plate=P1" in str(path):
            path.unlink()
    with pytest.raises(LakeError, match="version 1 is older than what is kept; 1 of its 2 files"):
        written.restore("well_profiles", 1)
    assert written.version("well_profiles") == 3


def test_lineage_names_the_run_that_wrote_the_rows_shown_now(written):
    query = "select Metadata_Plate, run_id from lineage.partitions order by 1"
    assert written.sql(query).rows() == [("P ü%", "P ü% 2"), ("P1", "P1 2")]
    written.restore("well_profiles", 1, plate("P ü%"))
    assert written.sql(query).rows() == [("P ü%", "P ü% 1"), ("P1", "P1 2")]
    written.restore("well_profiles", 0)
    assert written.sql(query).rows() == [("P1", "P1 1")]
    assert written.sql(query, versions={"well_profiles": 3}).rows()[0] == ("P ü%", "P ü% 2")


def test_a_row_leads_to_the_versions_it_was_made_from(written):
    written.write(
        WELL_PROFILES,
        profiles(),
        PLATE,
        run_id="r",
        code_version="0.2",
        parameters={"statistic": "median"},
        inputs={"single_cell_features": 7, "plate_map": 3},
    )
    (row,) = written.sql(
        """
        select distinct p.run_id, p.code_version, p.parameters, i.input_table, i.input_version
        from gold.well_profiles w
        join lineage.partitions p on p.table_name = 'well_profiles'
            and p.Metadata_Screen = w.Metadata_Screen and p.Metadata_Plate = w.Metadata_Plate
        join lineage.inputs i using (table_name, version)
        where w.Metadata_Plate = 'P1' and i.input_table = 'plate_map'
        """
    ).rows()
    assert row == ("r", "0.2", json.dumps({"statistic": "median"}), "plate_map", 3)


def test_a_young_lake_has_an_empty_lineage(lake):
    for name in ("commits", "partitions", "inputs"):
        assert lake.sql(f"select * from lineage.{name}").height == 0


def test_commits_say_who_and_what(written):
    commit = written.sql("select * from lineage.commits where version = 0").row(0, named=True)
    assert commit["operation"] == "write"
    assert commit["Metadata_Plate"] == "P1"
    assert commit["rows"] == 3
    assert commit["committed_at"].year > 2020
    assert commit["user"]
