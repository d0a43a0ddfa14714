"""A mart's commit names the versions of the tables behind it, and the log tells what is stale."""

from __future__ import annotations

import duckdb
import polars as pl
import pytest

from lake.lake_frames import PLATE, plate, profiles
from phenolake import __version__
from phenolake.lake import Lake
from phenolake.lake.maintenance import maintain
from phenolake.stages.marts import land_marts, prepare_scratch, table_commits
from phenolake.tables import NORMALIZED_PROFILES, WELL_PROFILES


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    lake.write(WELL_PROFILES, profiles(), PLATE)
    lake.write(WELL_PROFILES, profiles(), plate("P2"))
    return lake


def test_a_mart_names_the_versions_that_it_was_selected_from(lake, tmp_path):
    scratch = tmp_path / "scratch.duckdb"
    versions = prepare_scratch(lake, [], scratch)
    lake.write(WELL_PROFILES, profiles(), PLATE)  # comes too late for this building
    with duckdb.connect(str(scratch)) as connection:
        connection.execute("create table marts.one as select 1 as a")
        connection.execute("create table marts.other as select 1 as a")
    sources = {"one": {"readout_values"}, "other": {"plate_map"}}
    assert len(list(land_marts(lake, scratch, "run 7", sources, versions))) == 2
    commits = lake.sql("select run_id, code_version from lineage.commits where table_name = 'one'")
    assert commits.rows() == [("run 7", __version__)]
    inputs = lake.sql("from lineage.inputs order by all")
    assert inputs.rows() == [("one", 0, "well_profiles", 1)]


def test_commits_tell_what_each_part_holds_now_and_what_only_tidied(lake):
    normalized = profiles().with_columns(Metadata_Normalization=pl.lit("mad_robustize"))
    lake.write(NORMALIZED_PROFILES, normalized, PLATE, inputs={"well_profiles": 1})
    lake.restore("well_profiles", 0, PLATE)
    list(maintain(lake))
    rows = table_commits(lake).sort("table_name", "version")
    told = rows.select("table_name", "operation", "is_current", "inputs").rows()
    assert told == [
        ("normalized_profiles", "write", True, '{"well_profiles": 1}'),
        ("well_profiles", "write", True, "{}"),
        ("well_profiles", "write", True, "{}"),
        ("well_profiles", "restore", False, "{}"),
    ]
