"""The tour of a new user: simulate a screen, look at it, ingest it, ask for rows, take them out."""

from __future__ import annotations

import io
import json
import re
import shutil

import dagster as dg
import pandas as pd
import polars as pl
import pytest

from phenolake.cli.ingest import MODELS
from phenolake.lake import Lake
from phenolake.tables import TABLES

WELLS = 8


@pytest.fixture(scope="module")
def simulated(phenolake, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images") / "tour"
    answer = phenolake("simulate", folder, "--wells-used", WELLS, "--size", 128, "--seed", 3)
    assert answer.status == 0, answer.errors
    assert f"phenolake ingest {folder}" in answer.output
    return folder


@pytest.fixture(scope="module")
def ingested(phenolake, simulated):
    # The tables are the matter here, not how much is measured.
    with (simulated / "screen.yaml").open("a") as file:
        file.write("features: fast\n")
    answer = phenolake("ingest", simulated, "--no-models")
    assert answer.status == 0, answer.errors
    return answer


@pytest.fixture
def lake(home, ingested) -> Lake:
    return Lake(str(home / "tables"))


def test_inspect_names_reader_preset_plates_and_channels(phenolake, simulated):
    answer = phenolake("inspect", simulated)
    assert answer.status == 0, answer.output + answer.errors
    for fact in ("filename_pattern", "cell_painting", f"{WELLS} wells", "DNA", "128 x 128 uint16"):
        assert fact in answer.output


def test_inspect_proposes_a_screen_yaml_that_works(phenolake, simulated, tmp_path):
    bare = tmp_path / "bare"
    plate = next(path for path in simulated.iterdir() if (path / "_COMPLETE").exists())
    shutil.copytree(plate, bare / plate.name)
    proposed = phenolake("inspect", bare)
    assert "preset    cell_painting" in proposed.output
    text = proposed.output.partition("to start from:")[2]
    (bare / "screen.yaml").write_text(text)
    described = phenolake("inspect", bare)
    assert "to start from" not in described.output
    assert f"{WELLS} wells" in described.output


def test_ingest_tells_one_line_per_plate_and_makes_every_table(ingested, lake):
    assert re.search(rf"plate \S+: {WELLS} sites, \d+ cells", ingested.output)
    made = {name for _, name in lake.tables()}
    # Nothing was refused; models of whole fields are made on request only.
    assert made >= set(TABLES) - {"quarantine", "field_predictions", *MODELS}
    assert made >= {"plate_quality", "hits"}


def test_ingest_says_no_more_than_that(ingested):
    assert ingested.errors == ""
    assert [line.split()[0] for line in ingested.output.splitlines()] == ["screen", "plate"]


def test_marts_are_materializations_with_rows_and_checks_like_every_table(ingested, home, lake):
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        for name in ("plate_quality", "hits", "screen_summary"):
            event = instance.get_latest_materialization_event(dg.AssetKey(name))
            metadata = event.asset_materialization.metadata
            assert metadata["dagster/row_count"].value == lake.read(name).height > 0
            assert metadata["delta_version"].value == lake.version(name)
        key = dg.AssetCheckKey(dg.AssetKey("hits"), "q_values_are_not_below_p_values")
        checked = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert checked[0].status.value == "SUCCEEDED"


def test_rows_lead_to_runs_code_and_input_versions_of_marts_too(ingested, lake):
    inputs = lake.sql("select table_name, input_table, input_version from lineage.inputs")
    read = {table: set(group["input_table"]) for (table,), group in inputs.group_by("table_name")}
    assert {"well_profiles", "plate_map"} <= read["normalized_profiles"] | read["well_profiles"]
    assert {"normalized_profiles", "image_quality"} <= read["plate_quality"]
    mart = lake.sql("select table_name, inputs, is_stale, run_id from marts.lineage")
    row = mart.filter(table_name="normalized_profiles").row(0, named=True)
    assert "well_profiles 0" in row["inputs"]
    assert row["run_id"]
    assert not mart["is_stale"].any()


def test_ingest_again_finds_the_plate_up_to_date(phenolake, ingested, simulated, lake):
    before = {name: lake.version(name) for _, name in lake.tables()}
    answer = phenolake("ingest", simulated, "--no-models")
    assert answer.status == 0, answer.errors
    assert re.search(r"plate \S+: up to date", answer.output)
    assert "screen tour: up to date" in answer.output
    assert {name: lake.version(name) for _, name in lake.tables()} == before


def test_an_edited_plate_map_is_taken_up(phenolake, ingested, simulated, lake):
    plate_map = simulated / "platemap.csv"
    before = lake.version("plate_map")
    plate_map.write_text(plate_map.read_text().replace("DMSO", "DMSO 0.1 %"))
    (simulated / "screen.yaml").write_text(
        (simulated / "screen.yaml").read_text().replace("DMSO", "DMSO 0.1 %")
    )
    answer = phenolake("ingest", simulated, "--no-models")
    assert answer.status == 0, answer.errors
    assert "up to date" not in answer.output
    assert lake.version("plate_map") == before + 1
    assert "DMSO 0.1 %" in lake.read("well_profiles")["Metadata_Perturbation"].to_list()


QUERY = "select Metadata_Well, Metadata_CellCount from gold.well_profiles order by 1 limit 3"


def test_sql_answers_in_four_formats(phenolake, lake, tmp_path):
    expected = lake.sql(QUERY)
    csv = pl.read_csv(io.StringIO(phenolake("sql", QUERY, "--format", "csv").output))
    assert csv.equals(expected)
    rows = json.loads(phenolake("sql", QUERY, "--format", "json").output)
    assert rows == expected.to_dicts()
    file = tmp_path / "rows.parquet"
    assert phenolake("sql", QUERY, "--format", "parquet", "--out", file).status == 0
    assert pl.read_parquet(file).equals(expected)
    table = phenolake("sql", QUERY).output
    assert "Metadata_CellCount" in table
    assert all(well in table for well in expected["Metadata_Well"])


def test_sql_writes_text_to_a_file_too(phenolake, lake, tmp_path):
    file = tmp_path / "rows.csv"
    answer = phenolake("sql", QUERY, "--format", "csv", "--out", file)
    assert answer.output == ""
    assert pl.read_csv(file).equals(lake.sql(QUERY))


def test_a_prompt_opens_without_a_query_and_goes_on_after_an_error(phenolake, lake):
    typed = f".tables\nselect nonsense\n{QUERY};\n\n.quit\nselect 1\n"
    answer = phenolake("sql", stdin=typed)
    assert answer.status == 0
    assert "gold.well_profiles" in answer.output
    assert "Metadata_CellCount" in answer.output
    assert answer.errors.startswith("error: SQL:")


def test_the_prompt_ends_with_the_input(phenolake, lake):
    assert phenolake("sql", stdin="").status == 0


def test_an_older_version_answers_as_it_did(phenolake, lake):
    lake.write(TABLES["well_profiles"], [], {"Metadata_Screen": "tour", "Metadata_Plate": "other"})
    newest, wells = lake.version("well_profiles"), lake.read("well_profiles").height
    assert newest >= 1
    query = "select count(*) as rows from gold.well_profiles"
    for at in ("well_profiles=0", "gold.well_profiles=0", f"well_profiles={newest}"):
        assert phenolake("sql", query, "--format", "csv", "--at", at).output == f"rows\n{wells}\n"
    refused = phenolake("sql", query, "--at", f"well_profiles={newest + 1}")
    assert refused.status == 1
    assert str(newest) in refused.errors


@pytest.mark.parametrize(
    "query",
    ["delete from gold.well_profiles", "drop view gold.well_profiles", "select 1; select 2"],
)
def test_only_one_reading_statement_is_answered(phenolake, lake, query):
    before = lake.version("well_profiles")
    answer = phenolake("sql", query)
    assert answer.status == 1
    assert answer.errors.startswith("error: SQL:")
    assert lake.version("well_profiles") == before


def test_an_export_opens_in_pandas_with_the_names_other_tools_expect(phenolake, lake, tmp_path):
    file = tmp_path / "profiles.parquet"
    answer = phenolake("export", "well_profiles", file, "--screen", "tour")
    assert answer.status == 0, answer.errors
    frame = pd.read_parquet(file)
    assert len(frame) == lake.read("well_profiles").height > 0
    assert {"Metadata_Plate", "Metadata_Well", "Metadata_CellCount"} <= set(frame.columns)
    features = [name for name in frame.columns if not name.startswith("Metadata_")]
    assert features
    assert all(name.split("_")[0] in ("Nuclei", "Cells", "Cytoplasm") for name in features)


def test_an_export_of_nothing_warns(phenolake, lake, tmp_path):
    answer = phenolake("export", "well_profiles", tmp_path / "x.parquet", "--screen", "elsewhere")
    assert "no rows" in answer.errors
    assert pl.read_parquet(tmp_path / "x.parquet").is_empty()


def test_simulating_into_a_folder_with_other_things_touches_nothing(phenolake, simulated):
    before = sorted(simulated.rglob("*"))
    answer = phenolake("simulate", simulated)
    assert answer.status == 1
    assert "nothing was written" in answer.errors
    assert sorted(simulated.rglob("*")) == before
