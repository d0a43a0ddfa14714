"""What a person's query must not do: every way out is refused with one sentence, and leaves nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lake.lake_frames import PLATE, profiles
from phenolake.errors import QueryError
from phenolake.lake import Lake
from phenolake.lake.query import QueryLimits, answer
from phenolake.tables import WELL_PROFILES

#: `{outside}` is a folder with `secret.txt`, `secret.csv` and `secret.parquet`; `{file}` a file of
#: the lake.
ESCAPES = {
    "reads files": [
        "select * from read_text('{outside}/secret.txt')",
        "select * from read_blob('{outside}/secret.txt')",
        "select * from read_csv('{outside}/secret.csv')",
        "select * from read_csv_auto('{outside}/secret.csv')",
        "select * from sniff_csv('{outside}/secret.csv')",
        "select * from read_json('{outside}/secret.txt')",
        "select * from read_json_objects('{outside}/secret.txt')",
        "select * from read_parquet('{outside}/secret.parquet')",
        "select * from parquet_metadata('{outside}/secret.parquet')",
        "select * from parquet_schema('{outside}/secret.parquet')",
        "select * from parquet_kv_metadata('{outside}/secret.parquet')",
        "from '{outside}/secret.csv'",
        "from '{outside}/secret.parquet'",
        "select * from read_text('{file}')",
        "select * from read_text('/proc/self/environ')",
        "select * from read_text('phenolake://gold/../../{outside}/secret.txt')",
        "select * from read_text('file://{outside}/secret.txt')",
        "select * from glob('{outside}/*')",
        "select * from glob('/etc/*')",
        "select (select content from read_text('{outside}/secret.txt'))",
        "with s as (select * from read_csv('{outside}/secret.csv')) from s",
        "select * from query('from read_text(''{outside}/secret.txt'')')",
        "from query_table(['{outside}/secret.csv'])",
        "explain analyze select * from read_text('{outside}/secret.txt')",
    ],
    "writes files": [
        "copy (select 1) to '{outside}/x.csv'",
        "copy (select 1) to '{outside}/x.parquet' (format parquet)",
        "copy (select 1) to '{file}'",
        "copy gold.well_profiles from '{outside}/secret.csv'",
        "copy (select 1) to 'phenolake://gold/x.parquet'",
        "explain analyze copy (select 1) to '{outside}/x.csv'",
        "export database '{outside}/x'",
        "import database '{outside}/x'",
        "attach '{outside}/x.db'",
        "attach ':memory:' as other",
        "attach 'phenolake://x.db'",
        "detach lake",
        "create or replace view gold.well_profiles as select 1",
        "create table gold.x as select 1",
        "create temp table x as select 1",
        "create macro f(a) as a",
        "create schema x",
        "create secret s (type s3, key_id 'k', secret 's')",
        "drop view gold.well_profiles",
        "insert into gold.well_profiles select 1",
        "update gold.well_profiles set Cells_A = 0",
        "delete from gold.well_profiles",
        "truncate gold.well_profiles",
        "alter table gold.well_profiles add column x int",
        "comment on view gold.well_profiles is 'x'",
        "vacuum",
        "checkpoint",
    ],
    "reaches the network": [
        "from 'http://127.0.0.1:9/x.parquet'",
        "from 'https://127.0.0.1:9/x.csv'",
        "from 's3://bucket/x.parquet'",
        "select * from read_csv('http://127.0.0.1:9/x.csv')",
        "select * from read_text('s3://bucket/x')",
        "select * from delta_scan('s3://bucket/x')",
        "select * from iceberg_scan('s3://bucket/x')",
        "select * from postgres_scan('host=127.0.0.1', 'public', 't')",
        "select * from sqlite_scan('{outside}/secret.txt', 't')",
        "attach 'host=127.0.0.1' as pg (type postgres)",
        "attach 'http://127.0.0.1:9/x.db'",
    ],
    "loads code": [
        "install httpfs",
        "install '{outside}/x.duckdb_extension'",
        "force install httpfs from 'http://127.0.0.1:9'",
        "load httpfs",
        "load '{outside}/x.duckdb_extension'",
        "update extensions",
    ],
    "changes settings": [
        "set enable_external_access = true",
        "set allowed_directories = ['/']",
        "set lock_configuration = false",
        "reset lock_configuration",
        "set memory_limit = '1 TB'",
        "set temp_directory = '{outside}'",
        "set log_query_path = '{outside}/log'",
        "set profile_output = '{outside}/profile'",
        "pragma enable_profiling",
        "pragma profiling_output = '{outside}/profile'",
        "pragma memory_limit = '1 TB'",
        "call pragma_version()",
        "use memory",
        "set variable x = 1",
    ],
    "says several things": [
        "select 1; select 2",
        "select 1; copy (select 1) to '{outside}/x.csv'",
        "create temp table pivot as select 1; select 1",
        "begin",
        "prepare p as select 1",
        "execute p",
        "deallocate p",
        "",
        ";",
        "-- nothing",
    ],
    "looks into the program": [
        "select * from local_variable",
        "select getenv('HOME')",
    ],
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Lake:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    lake.write(WELL_PROFILES, profiles(), PLATE)
    return lake


@pytest.fixture(scope="module")
def outside(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret.txt").write_text("secret\n")
    (folder / "secret.csv").write_text("a\nsecret\n")
    profiles().write_parquet(folder / "secret.parquet")
    return folder


@pytest.mark.parametrize("kind", ESCAPES)
def test_every_way_out_is_refused_with_one_sentence(filled, outside, kind):
    local_variable = profiles()
    file = next(Path(filled.uri).rglob("*.parquet"))
    before = {path: path.read_bytes() for path in (*_files(outside), *_files(Path(filled.uri)))}
    with filled.connect() as connection:
        for text in ESCAPES[kind]:
            query = text.format(outside=outside, file=file)
            with pytest.raises(QueryError) as refusal:
                print(answer(connection, query, QueryLimits()), "from", query)
            sentence = str(refusal.value)
            assert sentence.startswith("SQL: "), query
            assert "\n" not in sentence, query
    after = {path: path.read_bytes() for path in (*_files(outside), *_files(Path(filled.uri)))}
    assert after == before
    assert local_variable.height == 3


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_query_without_end_is_stopped(filled):
    started = time.monotonic()
    with pytest.raises(QueryError, match=r"stopped after 0.3 s"):
        filled.sql(
            "select count(*) from range(1000000000000) t(i) where sin(i) > 2",
            limits=QueryLimits(seconds=0.3),
        )
    assert time.monotonic() - started < 60


def test_a_query_that_needs_too_much_memory_is_stopped(filled):
    limits = QueryLimits(memory_bytes=100 << 20, spilled_bytes=1 << 20)
    with pytest.raises(QueryError, match=r"needs more than 0.0977 GiB of memory"):
        filled.sql("select list(i) from range(1000000000) t(i)", limits=limits)


def test_an_answer_that_is_too_large_is_stopped(filled):
    with pytest.raises(QueryError, match=r"the answer is larger than 0.0977 GiB"):
        filled.sql("from range(1000000000)", limits=QueryLimits(memory_bytes=100 << 20))


def test_a_reader_may_still_ask_for_much(filled):
    assert filled.sql("from range(300000)").height == 300_000
    assert filled.sql("pivot gold.well_profiles on Metadata_Screen using count(*)").height > 0
