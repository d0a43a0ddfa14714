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
        "select * from read_ndjson('{outside}/secret.txt')",
        "from parquet_file_metadata('{outside}/secret.parquet')",
        "from parquet_bloom_probe('{outside}/secret.parquet', 'a', 1)",
        "from parquet_full_metadata('{outside}/secret.parquet')",
        "from read_duckdb('{outside}/x.db')",
        "from '{outside}/*.csv'",
        "from read_parquet('phenolake:///{file}')",
        "from read_parquet('phenolake://*')",
        "from read_csv('/dev/fd/0')",
        "from read_blob('/proc/self/mem')",
        "from read_text('~/.netrc')",
        "from read_text(concat('{outside}', '/secret.txt'))",
        "from query('from read_' || 'text(''{outside}/secret.txt'')')",
        "from json_execute_serialized_sql(json_serialize_sql('from read_text(''{outside}/secret.txt'')'))",
        "describe '{outside}/secret.csv'",
        "summarize '{outside}/secret.csv'",
        "explain select * from read_csv('{outside}/secret.csv')",
        "pivot '{outside}/secret.csv' on a using count(*)",
        "pivot (from read_text('{outside}/secret.txt')) on content using count(*)",
        "select 1 limit (select count(*) from read_csv('{outside}/secret.csv'))",
        "from (values (1)) t(a), lateral (from read_text('{outside}/secret.txt'))",
        "with recursive t as (select content from read_text('{outside}/secret.txt') union all from t) from t",
        "from 'file:{outside}/secret.parquet'",
        "from read_csv_auto('|cat {outside}/secret.txt')",
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
        "with x as (delete from gold.well_profiles returning *) from x",
        "merge into gold.well_profiles using (select 1) on false when not matched then insert values (1)",
        "copy gold.well_profiles to '{outside}/y' (format parquet, partition_by Metadata_Plate)",
        "copy from database lake to memory",
        "from query('copy (select 1) to ''{outside}/x.csv''')",
        "explain copy (select 1) to '{outside}/x.csv'",
        "from checkpoint()",
        "from force_checkpoint()",
        "from enable_logging(storage := 'file', storage_path := '{outside}/log')",
        "from system.main.Enable_Logging('QueryLog', storage := 'file', storage_path := '{outside}/log')",
        "with x as (from enable_logging(storage_path := '{outside}/log')) from x",
        "select (select count(*) from enable_logging(storage_path := '{outside}/log'))",
        "explain analyze from enable_logging(storage_path := '{outside}/log')",
        "pivot enable_logging(storage_path := '{outside}/log') on Success using count(*)",
        "pivot \"enable_logging\"/**/(storage_path := '{outside}/log') on Success using count(*)",
        "from enable_profiling(save_location := '{outside}/profile')",
        "select write_log('x')",
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
        "from read_parquet('hf://datasets/x/y')",
        "from read_parquet('gcs://b/x')",
        "from read_json('http://127.0.0.1:9/x')",
        "from postgres_query('host=127.0.0.1', 'select 1')",
    ],
    "loads code": [
        "install httpfs",
        "install '{outside}/x.duckdb_extension'",
        "force install httpfs from 'http://127.0.0.1:9'",
        "load httpfs",
        "load '{outside}/x.duckdb_extension'",
        "update extensions",
        "install spatial from community",
        "from python_map_function()",
        "from start_ui()",
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
        "set python_scan_all_frames = true",
        "set python_enable_replacements = true",
        "set search_path = 'memory'",
        "set allow_unsigned_extensions = true",
        "set home_directory = '{outside}'",
        "set secret_directory = '{outside}'",
        "set logging_storage = 'file'",
        "reset allowed_directories",
        "pragma database_size",
        "pragma enable_logging",
        "from disable_logging()",
        "from truncate_duckdb_logs()",
        "from enable_profiling()",
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
        "select 1 /* ; */ ; copy (select 1) to '{outside}/x.csv'",
        "/* select 1 */ attach '{outside}/y.db'",
        "from query('select 1; select 2')",
    ],
    "looks into the program": [
        "select * from local_variable",
        "select getenv('HOME')",
        "from pandas_scan(0)",
        "from arrow_scan(1, 1, 1)",
        "from duckdb_settings()",
        "from duckdb_secrets()",
        "from which_secret('s3://x', 's3')",
        "from duckdb_logs()",
        "from query_table('local_variable')",
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


@pytest.mark.parametrize(
    "query",
    [
        "with recursive t(i) as (select 1 union all select i + 1 from t) select count(*) from t",
        "select sum(i) from generate_series(1, 100000000000) t(i)",
    ],
    ids=["recursion", "series"],
)
def test_a_series_without_end_is_stopped(filled, query):
    with pytest.raises(QueryError, match=r"stopped after 0.3 s"):
        filled.sql(query, limits=QueryLimits(seconds=0.3))


def test_a_pattern_that_backtracks_elsewhere_is_answered(filled):
    query = "select regexp_matches(repeat('a', 5000) || 'b', '(a+)+$')"
    assert filled.sql(query, limits=QueryLimits(seconds=60)).item() is False


def test_a_type_without_a_column_here_is_one_sentence(filled):
    with pytest.raises(QueryError, match="cast it to varchar"):
        filled.sql("select interval 1 month")


def test_words_of_refused_functions_may_stand_in_texts_and_names(filled):
    row = filled.sql("select 'query' as checkpoint, 'enable_logging()' as glob").row(0)
    assert row == ("query", "enable_logging()")


def test_a_reader_may_still_ask_for_much(filled):
    assert filled.sql("from range(300000)").height == 300_000
    assert filled.sql("from unnest(range(3)) t(i) select i, repeat('x', i)").height == 3
    assert filled.sql("summarize gold.well_profiles").height > 0
    assert filled.sql("explain select 1").height == 1
    assert filled.sql("pivot gold.well_profiles on Metadata_Screen using count(*)").height > 0
