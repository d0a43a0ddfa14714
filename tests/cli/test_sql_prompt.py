"""The SQL prompt and its tables, typed at by a script."""

from __future__ import annotations

import duckdb
import polars as pl
import pytest

from phenolake.cli.sql_prompt import schema_of
from phenolake.cli.text_table import table_of
from phenolake.errors import UnknownNameError
from small_lake import make_lake


@pytest.fixture(scope="module")
def lake(home):
    return make_lake(home)


def test_statement_may_run_over_lines(phenolake, lake):
    answer = phenolake("sql", stdin="select count(*) as n\nfrom\ngold.well_profiles\n.quit\n")
    assert answer.status == 0, answer.errors
    assert "18" in answer.output
    assert not answer.errors


def test_commands_list_tables_columns_and_help(phenolake, lake):
    answer = phenolake(
        "sql", stdin=".tables\n.schema gold.well_profiles\n.help\n.schema nothing\n.what\n"
    )
    assert "silver.segmentation_masks" in answer.output
    assert "one row per well" in answer.output
    assert "Metadata_CellCount  Int64  segmented cells" in answer.output
    assert ".quit" in answer.output
    assert "unknown table 'nothing'" in answer.errors
    assert "unknown command '.what'" in answer.errors


@pytest.mark.parametrize("word", [".quit", "exit", "QUIT;"])
def test_usual_words_end_the_prompt(phenolake, lake, word):
    answer = phenolake("sql", stdin=f"{word}\nselect nothing from nowhere;\n")
    assert (answer.status, answer.errors) == (0, "")


def test_mistake_does_not_end_the_prompt(phenolake, lake):
    answer = phenolake("sql", stdin="select nothing from nowhere;\nselect 41 + 1 as n;\n")
    assert answer.status == 0
    assert "error:" in answer.errors
    assert "42" in answer.output


def test_lines_of_a_terminal_are_kept(phenolake, lake, home):
    phenolake("sql", stdin="select 1\n")
    assert (home / "sql_history").exists()


def test_schema_of_a_missing_table_offers_those_there_are(lake):
    with pytest.raises(UnknownNameError, match="well_profiles"):
        schema_of(lake, "well_profile")


def test_narrow_rows_are_a_table_and_wide_ones_blocks():
    narrow = table_of(pl.DataFrame({"a": [1.0, None], "b": ["x", "y"]}), width=80)
    assert "┌" in narrow
    wide = table_of(pl.DataFrame({f"a_long_name_{i}": [i / 3] * 30 for i in range(20)}), width=80)
    assert "-- row 1 of 30" in wide
    assert " a_long_name_3  1.0000" in wide.splitlines()
    assert "10 more rows" in wide
    assert max(map(len, wide.splitlines())) <= 80


def test_no_rows_name_the_columns():
    empty = pl.DataFrame({f"a_long_name_{i}": pl.Series([], dtype=pl.Int64) for i in range(20)})
    assert "no rows" in table_of(empty, width=40)


def test_catalogue_opens_in_plain_duckdb(phenolake, lake, tmp_path):
    answer = phenolake("catalog", tmp_path / "lake.duckdb")
    assert answer.status == 0, answer.errors
    with duckdb.connect(str(tmp_path / "lake.duckdb"), read_only=True) as connection:
        assert connection.sql("select count(*) from gold.well_profiles").fetchone() == (18,)
        assert connection.sql("select count(*) from marts.hits").fetchone() == (5,)
