"""Partitions are replaced whole, come back exactly, and old versions stay readable."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from lake.lake_frames import PLATE, cells, plate, profiles
from phenolake.errors import ConfigurationError, LakeError, TableMissingError, TableSchemaError
from phenolake.lake import Lake, encode_labels, parquet_parts
from phenolake.tables import (
    MODEL_PREDICTIONS,
    QUARANTINE,
    SEGMENTATION_MASKS,
    SINGLE_CELL_FEATURES,
    WELL_PROFILES,
)

ODD_PLATES = [
    "007",
    "1e3",
    "P 1",
    "Plättchen",
    "100%",
    "a%20b",
    "a=b",
    "a:b",
    "#?",
    "[x]*",
    "a'b",
    "..",
    "漢" * 60,
]


def test_rows_come_back_with_partition_and_missing_columns_in_declared_order(lake):
    commit = lake.write(WELL_PROFILES, profiles(), PLATE)
    assert (commit.table, commit.version, commit.rows) == ("well_profiles", 0, 3)
    assert commit.bytes > 0
    rows = lake.read("well_profiles")
    assert rows.columns == [*WELL_PROFILES.column_names, "Cells_A"]
    assert rows["Metadata_Plate"].to_list() == ["P1"] * 3
    assert rows["Metadata_MOA"].null_count() == 3
    assert rows["Cells_A"].dtype == pl.Float64


def test_writing_a_partition_again_replaces_it_and_leaves_others(lake):
    lake.write(WELL_PROFILES, profiles(3, 1.0), plate("P1"))
    lake.write(WELL_PROFILES, profiles(2, 2.0), plate("P2"))
    lake.write(WELL_PROFILES, profiles(1, 3.0), plate("P1"))
    rows = (
        lake.read("well_profiles")
        .group_by("Metadata_Plate")
        .agg(pl.col("Cells_A"))
        .sort("Metadata_Plate")
    )
    assert rows["Cells_A"].to_list() == [[3.0], [2.0, 2.0]]


def test_an_empty_stream_empties_the_partition_and_may_create_the_table(lake):
    assert lake.write(WELL_PROFILES, iter(()), plate("P1")).rows == 0
    assert lake.read("well_profiles").shape == (0, len(WELL_PROFILES.columns))
    lake.write(WELL_PROFILES, profiles(), plate("P1"))
    lake.write(WELL_PROFILES, profiles(2), plate("P2"))
    lake.write(WELL_PROFILES, profiles(0), plate("P1"))
    assert lake.read("well_profiles")["Metadata_Plate"].to_list() == ["P2", "P2"]
    assert lake.table("well_profiles").collect().height == 2
    assert lake.sql("select count(*) from gold.well_profiles").item() == 2


@pytest.mark.parametrize("kind", ["frame", "table", "batches", "tables", "frames"])
def test_every_kind_of_rows_gives_the_same_table(lake, kind):
    frame = cells(10, ("Cells_A", "Cells_B"))
    table = frame.to_arrow()
    rows = {
        "frame": frame,
        "table": table,
        "batches": iter(table.to_batches(max_chunksize=3)),
        "tables": (table.slice(i, 4) for i in range(0, 10, 4)),
        "frames": frame.iter_slices(3),
    }[kind]
    lake.write(SINGLE_CELL_FEATURES, rows, PLATE)
    read = lake.read("single_cell_features")
    assert_frame_equal(read.select(frame.columns), frame)


@pytest.mark.parametrize("name", ODD_PLATES)
def test_plate_names_come_back_exactly_whatever_they_hold(lake, name):
    lake.write(WELL_PROFILES, profiles(2), plate(name))
    lake.write(WELL_PROFILES, profiles(1), plate("other"))
    lake.write(WELL_PROFILES, profiles(3), plate(name))
    assert lake.read("well_profiles", plate(name))["Metadata_Plate"].to_list() == [name] * 3
    assert sum(b.num_rows for b in lake.batches("well_profiles", plate(name))) == 3
    found = lake.sql("select Metadata_Plate, count(*) n from gold.well_profiles group by 1")
    assert dict(found.iter_rows()) == {name: 3, "other": 1}
    assert (
        lake.table("well_profiles").filter(pl.col("Metadata_Plate") == name).collect().height == 3
    )


@pytest.mark.parametrize("folder", ["with space", "100%", "a'b", "b[x]*", "a=b", "ü"])
def test_a_lake_may_lie_in_any_folder(tmp_path, folder):
    lake = Lake(str(tmp_path / folder))
    lake.write(WELL_PROFILES, profiles(), plate("P 1"))
    assert lake.read("well_profiles", plate("P 1")).height == 3
    assert lake.table("well_profiles").collect().height == 3
    assert lake.sql("select count(*) from gold.well_profiles").item() == 3
    assert sum(b.num_rows for b in lake.batches("well_profiles")) == 3


def test_features_of_other_screens_are_left_out_but_nan_and_asked_columns_stay(lake):
    undefined = profiles(2, np.nan, ("Cells_A", "Cells_B"))
    lake.write(WELL_PROFILES, undefined, plate("P1", "S1"))
    lake.write(WELL_PROFILES, profiles(2, 1.0, ("Nuclei_C",)), plate("P1", "S2"))
    first = lake.read("well_profiles", {"Metadata_Screen": "S1"})
    assert [c for c in first.columns if not c.startswith("Metadata_")] == ["Cells_A", "Cells_B"]
    assert first["Cells_A"].is_nan().all()
    second = lake.read("well_profiles", {"Metadata_Screen": "S2"})
    assert [c for c in second.columns if not c.startswith("Metadata_")] == ["Nuclei_C"]
    both = lake.read("well_profiles")
    assert both["Nuclei_C"].null_count() == 2
    asked = lake.read(
        "well_profiles", {"Metadata_Screen": "S1"}, columns=["Nuclei_C", "Metadata_Well"]
    )
    assert asked.columns == ["Nuclei_C", "Metadata_Well"]
    assert asked["Nuclei_C"].null_count() == 2


def test_a_feature_that_is_null_in_every_row_of_a_selection_is_left_out(lake):
    lake.write(WELL_PROFILES, profiles(1).with_columns(Cells_B=pl.lit(None)), plate("P1"))
    assert "Cells_B" not in lake.read("well_profiles").columns
    assert "Cells_B" in lake.table("well_profiles").collect_schema()


def test_later_batches_may_bring_new_features(lake):
    stream = [cells(2, ("Cells_A",)), cells(2, ("Cells_B", "Cells_A")), cells(2, ("Cells_B",))]
    lake.write(SINGLE_CELL_FEATURES, iter(stream), PLATE)
    rows = lake.read("single_cell_features")
    assert rows["Cells_A"].is_null().to_list() == [False] * 4 + [True] * 2
    assert rows["Cells_B"].is_null().to_list() == [True] * 2 + [False] * 4
    sql = lake.sql("select count(Cells_A) a, count(Cells_B) b from silver.single_cell_features")
    assert sql.row(0) == (4, 4)


def test_rows_keep_their_order_across_row_groups_and_files(lake, monkeypatch):
    monkeypatch.setattr(parquet_parts, "ROW_GROUP_BYTES", 20_000)
    monkeypatch.setattr(parquet_parts, "FILE_BYTES", 50_000)
    frame = cells(20_000, ("Cells_A",))
    lake.write(SINGLE_CELL_FEATURES, frame.iter_slices(700), PLATE)
    assert len(DeltaTable(lake.table_uri("single_cell_features")).file_uris()) >= 3
    expected = frame["Metadata_ObjectNumber"].to_list()
    assert lake.read("single_cell_features")["Metadata_ObjectNumber"].to_list() == expected
    streamed = pa.Table.from_batches(lake.batches("single_cell_features", PLATE))
    assert streamed.column("Metadata_ObjectNumber").to_pylist() == expected
    assert not any(name.startswith("Cells_B") for name in streamed.column_names)


def test_streaming_holds_a_few_row_groups_at_most(lake, monkeypatch):
    limit = 4 << 20
    for module in ("phenolake.lake.parquet_parts", "phenolake.lake.delta_writer"):
        monkeypatch.setattr(f"{module}.ROW_GROUP_BYTES", limit)
    before, highest = pa.total_allocated_bytes(), 0

    def stream():
        nonlocal highest
        for seed in range(60):
            batch = cells(2_000, tuple(f"Cells_{i}" for i in range(100)), seed).to_arrow()
            yield (
                pa.table({name: pa.array(batch.column(name).to_pylist()[:1]) for name in ()})
                if False
                else batch
            )
            highest = max(highest, pa.total_allocated_bytes() - before)

    commit = lake.write(SINGLE_CELL_FEATURES, stream(), PLATE)
    assert commit.rows == 120_000
    assert highest < 5 * limit
    highest = 0
    for _ in lake.batches("single_cell_features"):
        highest = max(highest, pa.total_allocated_bytes() - before)
    assert highest < 8 * limit


def test_old_versions_stay_readable(lake):
    lake.write(WELL_PROFILES, profiles(3, 1.0), PLATE)
    lake.write(WELL_PROFILES, profiles(2, 2.0, ("Cells_A", "Cells_B")), PLATE)
    assert lake.version("well_profiles") == 1
    old = lake.read("well_profiles", version=0)
    assert old["Cells_A"].to_list() == [1.0] * 3
    assert "Cells_B" not in lake.table("well_profiles", version=0).collect_schema()
    query = "select sum(Cells_A) from gold.well_profiles"
    assert lake.sql(query, versions={"well_profiles": 0}).item() == 3.0
    assert lake.sql(query).item() == 4.0
    assert sum(b.num_rows for b in lake.batches("well_profiles", version=0)) == 3


def test_a_version_that_never_was_is_refused_with_the_newest(lake):
    lake.write(WELL_PROFILES, profiles(), PLATE)
    with pytest.raises(LakeError, match="version 9; its newest version is 0"):
        lake.table("well_profiles", version=9)


def test_commits_tell_who_wrote_them_and_how(lake):
    lake.write(
        WELL_PROFILES,
        profiles(),
        PLATE,
        run_id="r1",
        code_version="1.2",
        parameters={"q": 0.5, "p": Path("x")},
    )
    newest = lake.history("well_profiles")[0]
    assert newest["phenolake_run_id"] == "r1"
    assert newest["phenolake_code_version"] == "1.2"
    assert json.loads(newest["phenolake_parameters"]) == {"p": "x", "q": 0.5}


def test_a_failing_stream_changes_nothing_and_leaves_no_files(lake):
    lake.write(WELL_PROFILES, profiles(), PLATE)
    files = sorted(Path(lake.uri).rglob("*.parquet"))

    def failing():
        yield profiles(2)
        yield profiles(2, features=("Cells_New",))
        raise RuntimeError("camera on fire")

    with pytest.raises(RuntimeError, match="camera on fire"):
        lake.write(WELL_PROFILES, failing(), PLATE)
    assert lake.version("well_profiles") == 0
    assert sorted(Path(lake.uri).rglob("*.parquet")) == files


def test_missing_tables_say_so(lake):
    for call in (
        lake.table,
        lake.read,
        lake.version,
        lake.history,
        lambda n: list(lake.batches(n)),
    ):
        with pytest.raises(TableMissingError, match="well_profiles"):
            call("well_profiles")
    assert not lake.exists("well_profiles")
    assert lake.tables() == []


def test_unknown_columns_in_a_question_are_refused_with_the_closest(lake):
    lake.write(WELL_PROFILES, profiles(), PLATE)
    with pytest.raises(TableSchemaError, match="did you mean 'Cells_A'"):
        lake.read("well_profiles", columns=["Cells_a"])
    with pytest.raises(TableSchemaError, match="Plate"):
        lake.read("well_profiles", {"Plate": "P1"})


@pytest.mark.parametrize("name", ["../x", "Hits", "a b", "", "x;drop", 'a"b', "a" * 64])
def test_names_that_are_no_identifiers_are_refused(lake, name):
    for call in (lake.table_uri, lake.read, lambda n: lake.write_mart(n, pa.table({"a": [1]}))):
        with pytest.raises(ConfigurationError):
            call(name)


def test_marts_are_replaced_whole_with_their_columns(lake):
    lake.write_mart("hits", pa.table({"a": [1, 2], "old": ["x", "y"]}))
    awkward = pl.DataFrame(
        {
            "b": pl.Series(["q"], dtype=pl.Categorical),
            "n": pl.Series([7], dtype=pl.UInt32),
            "when": [datetime(2026, 1, 2)],
            "many": [[1.5, None]],
            "never": pl.Series([None], dtype=pl.Null),
        }
    )
    lake.write_mart("hits", awkward)
    rows = lake.read("hits")
    assert rows.columns == awkward.columns
    assert rows.row(0) == ("q", 7, datetime(2026, 1, 2, tzinfo=UTC), [1.5, None], None)
    assert lake.sql("select n from marts.hits").item() == 7
    lake.write_mart("hits", pa.table({"c": pa.array([], pa.int64())}))
    assert lake.read("hits").shape == (0, 1)
    assert lake.tables() == [("marts", "hits")]
    with pytest.raises(ConfigurationError, match="gold"):
        lake.write_mart("well_profiles", pa.table({"a": [1]}))


def test_masks_quarantine_and_predictions_round_trip(lake):
    labels = np.arange(12).reshape(3, 4)
    masks = pa.table(
        {
            "Metadata_Well": ["A01"],
            "Metadata_Site": [1],
            "compartment": ["Nuclei"],
            "labels": [encode_labels(labels)],
            "codec": ["c"],
            "height": [3],
            "width": [4],
            "object_count": [11],
            "method": ["m"],
        }
    )
    lake.write(SEGMENTATION_MASKS, masks, PLATE)
    assert lake.read("segmentation_masks")["labels"].item() == encode_labels(labels)
    problem = pl.DataFrame(
        {"number": [0], "problem": ["odd"], "found_at": [datetime(2026, 1, 1, tzinfo=UTC)]}
    )
    lake.write(QUARANTINE, problem, {**PLATE, "stage": "bronze"})
    assert lake.sql("select problem, stage from bronze.quarantine").row(0) == ("odd", "bronze")
    said = {
        name: ["x"]
        for name in (
            "Metadata_Plate",
            "Metadata_Well",
            "model_name",
            "model_version",
            "mlflow_run_id",
            "label",
            "split",
        )
    }
    said |= {
        "Metadata_Site": [1],
        "Metadata_ObjectNumber": [1],
        "probability": [0.5],
        "entropy": [0.1],
    }
    said |= {"probabilities": [[{"class": "a", "probability": 0.5}]]}
    lake.write(MODEL_PREDICTIONS, pl.DataFrame(said), {"Metadata_Screen": "S1"})
    assert lake.sql("select probabilities[1].class from gold.model_predictions").item() == "a"


def test_files_of_other_delta_tools_are_read_too(lake, monkeypatch):
    monkeypatch.setattr(parquet_parts, "ROW_GROUP_BYTES", 2_000)
    monkeypatch.setattr(parquet_parts, "FILE_BYTES", 3_000)
    for name in ("P 1", "100%"):
        lake.write(SINGLE_CELL_FEATURES, cells(900).iter_slices(100), plate(name))
    lake.write(SINGLE_CELL_FEATURES, cells(5, ("Cells_B",)), plate("P3"))
    delta = DeltaTable(lake.table_uri("single_cell_features"))
    assert delta.optimize.compact()["numFilesRemoved"] > 0
    expected = {"P 1": 900, "100%": 900, "P3": 5}
    found = lake.sql("select Metadata_Plate, count(*) from silver.single_cell_features group by 1")
    assert dict(found.iter_rows()) == expected
    assert (
        dict(lake.read("single_cell_features")["Metadata_Plate"].value_counts().iter_rows())
        == expected
    )
    assert lake.read("single_cell_features", plate("100%")).height == 900
    assert sum(b.num_rows for b in lake.batches("single_cell_features", plate("P 1"))) == 900
    lake.write(SINGLE_CELL_FEATURES, cells(3), plate("100%"))
    assert lake.read("single_cell_features", plate("100%")).height == 3


def test_vacuum_keeps_every_active_file(lake):
    for name in ODD_PLATES:
        lake.write(WELL_PROFILES, profiles(1), plate(name))
        lake.write(WELL_PROFILES, profiles(2), plate(name))
    delta = DeltaTable(lake.table_uri("well_profiles"))
    removed = delta.vacuum(
        retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True
    )
    assert len(removed) == len(ODD_PLATES)
    assert lake.read("well_profiles").height == 2 * len(ODD_PLATES)


def test_each_parquet_file_opens_alone_with_all_its_keys(lake):
    lake.write(SINGLE_CELL_FEATURES, cells(3), PLATE)
    (path,) = Path(lake.table_uri("single_cell_features")).rglob("*.parquet")
    alone = pl.read_parquet(path, hive_partitioning=False)
    assert set(SINGLE_CELL_FEATURES.column_names) <= set(alone.columns)
    assert alone["Metadata_Plate"].to_list() == ["P1"] * 3
