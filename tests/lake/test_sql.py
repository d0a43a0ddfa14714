"""SQL sees one snapshot of the lake, and can do nothing but read it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lake.lake_frames import PLATE, cells, plate, profiles
from phenolake.errors import LakeError, QueryError, TableMissingError
from phenolake.tables import SINGLE_CELL_FEATURES, TABLES, WELL_PROFILES


@pytest.fixture
def filled(lake):
    lake.write(WELL_PROFILES, profiles(3, 1.0), plate("P1"))
    lake.write(WELL_PROFILES, profiles(2, 2.0, ("Nuclei_B",)), plate("P1", "S2"))
    lake.write_mart("hits", pa.table({"Metadata_Well": ["A01"]}))
    return lake


def test_a_young_lake_has_every_declared_table_empty(lake):
    with lake.connect() as connection:
        for name, table in TABLES.items():
            relation = connection.sql(f"select * from {table.layer}.{name}")
            assert relation.columns == list(table.column_names)
            assert relation.fetchall() == []
        schemas = {
            row[0]
            for row in connection.sql(
                "select distinct schema_name from duckdb_schemas()"
            ).fetchall()
        }
        assert {"bronze", "silver", "gold", "marts"} <= schemas
    assert not Path(lake.uri).exists()


def test_empty_and_filled_views_have_the_same_types(lake):
    def types():
        with lake.connect() as connection:
            found = connection.sql("describe gold.well_profiles").fetchall()
        return {row[0]: row[1] for row in found if row[0] in WELL_PROFILES.column_names}

    young = types()
    lake.write(WELL_PROFILES, profiles(), PLATE)
    assert types() == young


def test_queries_join_layers_and_fill_features_of_other_screens_with_null(filled):
    rows = filled.sql(
        "select Metadata_Screen, sum(Cells_A) a, sum(Nuclei_B) b, count(hits.Metadata_Well) n "
        "from gold.well_profiles left join marts.hits using (Metadata_Well) group by 1 order by 1"
    )
    assert rows.rows() == [("S1", 3.0, None, 1), ("S2", None, 4.0, 1)]
    assert isinstance(rows, pl.DataFrame)


def test_a_connection_keeps_its_snapshot_while_others_write(filled):
    query = "select count(*) n from gold.well_profiles"
    with filled.connect() as connection:
        filled.write(WELL_PROFILES, profiles(9), plate("P9"))
        filled.write(WELL_PROFILES, profiles(1), plate("P1"))
        assert connection.sql(query).fetchall() == [(5,)]
    assert filled.sql(query).item() == 12


def test_every_answer_is_one_version_while_a_writer_runs(lake):
    lake.write(WELL_PROFILES, profiles(4, 0.0), PLATE)
    stop = threading.Event()
    failures: list[BaseException] = []

    def write_on():
        value = 0.0
        try:
            while not stop.is_set():
                value += 1
                lake.write(WELL_PROFILES, profiles(4 + int(value) % 3, value), PLATE)
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        for _ in range(12):
            with lake.connect() as connection:
                first = connection.sql(
                    "from gold.well_profiles select Cells_A, Metadata_Well"
                ).fetchall()
                again = connection.sql(
                    "from gold.well_profiles select Cells_A, Metadata_Well"
                ).fetchall()
            assert first == again
            values = {value for value, _ in first}
            assert len(values) == 1
            assert len(first) == 4 + int(values.pop()) % 3
    finally:
        stop.set()
        writer.join()
    assert not failures


def test_one_plate_is_read_without_opening_the_files_of_others(lake):
    for number in range(5):
        lake.write(WELL_PROFILES, profiles(), plate(f"P{number}"))
    with lake.connect() as connection:
        (row,) = connection.sql(
            "explain select count(Cells_A) from gold.well_profiles where Metadata_Plate = 'P3'"
        ).fetchall()
    assert "Scanning Files: 1/5" in row[1]


def test_statements_that_are_not_one_reading_statement_are_refused(filled):
    for text, says in {
        "": "0",
        "select 1; select 2": "2",
        "create table x as select 1": "CREATE",
        "insert into gold.well_profiles select 1": "INSERT",
        "drop view gold.well_profiles": "DROP",
        "copy (select 1) to 'x.csv'": "COPY",
        "attach 'x.db'": "ATTACH",
        "install httpfs": "LOAD",
        "set threads = 1": "SET",
        "call force_checkpoint()": "CALL",
    }.items():
        with pytest.raises(QueryError, match=says):
            filled.sql(text)


@pytest.mark.parametrize(
    "query",
    [
        "from marts.hits",
        "describe gold.well_profiles",
        "show tables",
        "explain select 1",
        "with a as (select 1) from a",
        "select 1;",
        "pivot gold.well_profiles on Metadata_Screen using count(*)",
    ],
)
def test_every_way_of_reading_is_allowed(filled, query):
    assert isinstance(filled.sql(query), pl.DataFrame)


def test_a_wrong_query_gives_one_lake_error_that_helps(filled):
    with pytest.raises(QueryError, match="well_profiles"):
        filled.sql("select * from gold.well_profile")
    with pytest.raises(LakeError):
        filled.sql("select Cells_Z from gold.well_profiles")


def _escapes(lake, outside: Path) -> list[str]:
    file = DeltaTable(lake.table_uri("well_profiles")).file_uris()[0]
    virtual = f"phenolake://gold/well_profiles/{file.split('/well_profiles/')[1]}"
    return [
        f"copy (select 1) to '{outside}/x.csv'",
        f"copy (select 1) to '{file}'",
        f"copy (select 1) to '{lake.uri}/x.parquet'",
        f"copy (select 1) to '{virtual}'",
        "copy (select 1) to 'phenolake://gold/x.parquet'",
        "copy (select 1 a, 2 b) to 'phenolake://gold/x' (format parquet, partition_by (a))",
        f"export database '{outside}/x'",
        "export database 'phenolake://x'",
        f"select * from read_text('{outside}/secret.txt')",
        f"select * from read_csv('{outside}/secret.txt')",
        f"from '{outside}/secret.csv'",
        f"select * from read_text('{file}')",
        f"select * from read_text('phenolake://gold/well_profiles/../../../{outside}/secret.txt')",
        f"select * from read_text('file://{outside}/secret.txt')",
        f"select * from glob('{outside}/*')",
        "from 'http://127.0.0.1:9/x.parquet'",
        f"attach '{outside}/x.db'",
        "attach 'phenolake://x.db'",
        "install httpfs",
        "load httpfs",
        f"load '{outside}/x.duckdb_extension'",
        "set enable_external_access = true",
        "set allowed_directories = ['/']",
        "reset lock_configuration",
        "set lock_configuration = false",
        f"set temp_directory = '{outside}'",
        f"set log_query_path = '{outside}/log'",
        "create secret s (type s3)",
        "create or replace view gold.well_profiles as select 1",
        "create table gold.x as select 1",
        "drop view gold.well_profiles",
        "select * from python_variable",
    ]


def test_no_statement_reads_or_writes_outside_the_snapshot(filled, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("secret.txt", "secret.csv"):
        (outside / name).write_text("a\nb\n")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    python_variable = pa.table({"a": [1]})
    for statement in _escapes(filled, outside):
        with filled.connect() as connection, pytest.raises(duckdb.Error):
            print(connection.execute(statement).fetchall(), "from", statement)
    assert python_variable.num_rows == 1
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    with filled.connect() as connection:
        assert connection.sql("select * from glob('phenolake://**')").fetchall() == []


def test_logging_to_a_file_writes_nothing(filled, tmp_path):
    path = tmp_path / "logs"
    query = f"select * from enable_logging(storage = 'file', storage_config = {{'path': '{path}'}})"
    code = f"from phenolake.lake import Lake; Lake({filled.uri!r}).sql({query!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert not path.exists()


def test_closing_a_connection_leaves_no_files(filled, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with filled.connect() as connection:
        connection.sql("select count(*) from gold.well_profiles").fetchall()
    assert list(scratch.iterdir()) == []


def test_cursors_answer_from_several_threads(lake):
    for number in range(4):
        lake.write(
            SINGLE_CELL_FEATURES, cells(5_000, ("Cells_A", "Cells_B"), number), plate(f"P{number}")
        )
    query = "select count(*), round(sum(Cells_A), 3), round(sum(Cells_B), 3) from silver.single_cell_features"
    answers: list[object] = []

    def ask(cursor):
        answers.append(cursor.execute(query).fetchall())

    with lake.connect() as connection:
        expected = connection.execute(query).fetchall()
        cursors = [connection.cursor() for _ in range(4)]
        threads = [threading.Thread(target=ask, args=(cursor,)) for cursor in cursors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [expected] * 4


def test_versions_of_tables_that_do_not_exist_are_refused(filled):
    with pytest.raises(TableMissingError, match="plate_map"):
        filled.connect(versions={"plate_map": 0})
