"""Rows that don't fit a table are refused in one sentence that names the column."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pyarrow as pa
import pytest

from lake.lake_frames import PLATE, cells, plate, profiles
from phenolake.errors import TableSchemaError
from phenolake.tables import (
    PLATE_MAP,
    RAW_IMAGE_CATALOG,
    SINGLE_CELL_FEATURES,
    TABLES,
    WELL_PROFILES,
    Column,
    Layer,
    Table,
)


def notes(dtype: pa.DataType, nullable: bool = True) -> Table:
    columns = (
        Column("s", pa.string(), "section", nullable=False),
        Column("n", dtype, "number", nullable=nullable),
    )
    return Table("notes", Layer.SILVER, "a note", ("n",), ("s",), columns)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (profiles().drop("Metadata_Well"), "'Metadata_Well' is missing"),
        (
            profiles().with_columns(Metadata_Well=pl.lit(None)),
            "'Metadata_Well' must not be null; 3",
        ),
        (profiles().with_columns(Metadata_CellCount=pl.lit("many")), "'Metadata_CellCount' is"),
        (profiles().with_columns(Metadata_CellCount=pl.lit(1.5)), "'Metadata_CellCount' is double"),
        (profiles().with_columns(Metadata_Plate=pl.lit("P2")), "'Metadata_Plate' holds 'P2'.*'P1'"),
        (
            profiles().with_columns(Metadata_Plate=pl.lit(None, pl.String)),
            "'Metadata_Plate' holds None",
        ),
        (profiles().with_columns(Cells_A=pl.lit("high")), "'Cells_A' is"),
        (profiles().with_columns(cells_a=pl.lit(1.0)), "'Cells_A' and 'cells_a'"),
    ],
)
def test_a_column_that_does_not_fit_is_named(lake, rows, says):
    with pytest.raises(TableSchemaError, match=says):
        lake.write(WELL_PROFILES, rows, PLATE)
    assert not lake.exists("well_profiles")


def test_unknown_columns_are_refused_with_the_closest_name(lake):
    with pytest.raises(TableSchemaError, match=r"'n_'; did you mean 'n'"):
        lake.write(notes(pa.int32()), pa.table({"n": [1], "n_": [1]}), {"s": "a"})
    with pytest.raises(TableSchemaError, match="unknown column 'Cells_A'"):
        lake.write(PLATE_MAP, pl.DataFrame({"Metadata_Well": ["A01"], "Cells_A": [1.0]}), PLATE)


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"Metadata_Screen": "S1"},
        {**PLATE, "Metadata_Well": "A01"},
        {**PLATE, "Metadata_Plate": ""},
    ],
)
def test_where_must_name_the_whole_partition(lake, where):
    with pytest.raises(TableSchemaError):
        lake.write(WELL_PROFILES, profiles(), where)


def test_partition_columns_that_agree_are_accepted(lake):
    rows = profiles().with_columns(Metadata_Plate=pl.lit("P1").cast(pl.Categorical))
    assert lake.write(WELL_PROFILES, rows, PLATE).rows == 3


def test_features_and_declared_columns_are_cast(lake):
    rows = cells().with_columns(
        pl.col("Metadata_Site").cast(pl.Int64),
        Cells_B=pl.lit(2**30 + 1, pl.Int64),
        Cells_C=pl.lit(True),
    )
    lake.write(SINGLE_CELL_FEATURES, rows, PLATE)
    schema = lake.read("single_cell_features").schema
    assert schema["Metadata_Site"] == pl.Int32
    assert {schema[name] for name in ("Cells_A", "Cells_B", "Cells_C")} == {pl.Float32}


def test_free_metadata_keeps_the_type_it_first_had(lake):
    wells = pl.DataFrame({"Metadata_Well": ["A01"]})
    lake.write(PLATE_MAP, wells.with_columns(Metadata_Passage=pl.lit("p3")), plate("P1"))
    lake.write(PLATE_MAP, wells.with_columns(Metadata_Passage=pl.lit(4)), plate("P2"))
    lake.write(PLATE_MAP, wells.with_columns(Metadata_Day=pl.lit(4)), plate("P3"))
    rows = lake.read("plate_map").sort("Metadata_Plate")
    assert rows["Metadata_Passage"].to_list() == ["p3", "4", None]
    with pytest.raises(TableSchemaError, match="'Metadata_Day'"):
        lake.write(PLATE_MAP, wells.with_columns(Metadata_Day=pl.lit("late")), plate("P4"))


def test_a_declaration_that_changed_a_type_is_refused(lake):
    lake.write(notes(pa.int32()), pa.table({"n": [1]}), {"s": "a"})
    with pytest.raises(TableSchemaError, match=r"'n' is .*integer.* in the lake"):
        lake.write(notes(pa.string()), pa.table({"n": ["1"]}), {"s": "a"})
    assert lake.read("notes")["n"].to_list() == [1]
    assert lake.table_uri("notes").endswith("/silver/notes")


def test_a_declaration_may_come_to_allow_nulls(lake):
    lake.write(notes(pa.int32(), nullable=False), pa.table({"n": [1]}), {"s": "a"})
    lake.write(notes(pa.int32()), pa.table({"n": pa.nulls(2, pa.int32())}), {"s": "b"})
    assert lake.read("notes")["n"].to_list() == [1, None, None]
    assert lake.sql("select count(n) from silver.notes").item() == 1


def test_columns_declared_later_are_null_in_an_older_table(lake, monkeypatch):
    lake.write(notes(pa.int32()), pa.table({"n": [1]}), {"s": "a"})
    older = notes(pa.int32())
    newer = replace(older, columns=(*older.columns, Column("author", pa.string(), "who")))
    monkeypatch.setitem(TABLES, "notes", newer)
    assert lake.read("notes", columns=["author", "n"]).rows() == [(None, 1)]
    assert lake.sql("select author from silver.notes").item() is None
    assert next(lake.batches("notes")).column("author").to_pylist() == [None]
    lake.write(newer, pa.table({"n": [2], "author": ["me"]}), {"s": "b"})
    assert lake.read("notes")["author"].to_list() == [None, "me"]


def test_units_and_meanings_are_in_the_delta_schema(lake):
    from deltalake import DeltaTable

    lake.write(RAW_IMAGE_CATALOG, [], PLATE)
    fields = {f.name: f for f in DeltaTable(lake.table_uri("raw_image_catalog")).schema().fields}
    assert fields["pixel_size_um"].metadata["unit"] == "um"
    assert not fields["Metadata_Plate"].nullable
