"""SQL of strangers runs in a process that is ended when it takes too much; the server goes on."""

from __future__ import annotations

import pytest

from lake.lake_frames import PLATE, profiles
from phenolake.errors import QueryError
from phenolake.lake import Lake, apart
from phenolake.lake.apart import sql_apart
from phenolake.lake.query import QueryLimits
from phenolake.tables import WELL_PROFILES

SMALL = QueryLimits(seconds=60, memory_bytes=64 << 20)


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Lake:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    lake.write(WELL_PROFILES, profiles(), PLATE)
    return lake


def test_first_rows_come_with_the_count_of_all(filled):
    rows, total = sql_apart(filled, "from gold.well_profiles order by Metadata_Well", SMALL, 2)
    assert rows["Metadata_Well"].to_list() == ["A01", "A02"]
    assert total == 3


def test_what_is_refused_is_the_same_sentence_as_in_this_process(filled):
    with pytest.raises(QueryError, match=r"^SQL: enable_logging is not allowed here"):
        sql_apart(filled, "from enable_logging()", SMALL, 1)


@pytest.mark.parametrize(
    "query",
    ["select len(list_resize([1::bigint], 300000000))", "select repeat('x', 2000000000)"],
    ids=["list", "text"],
)
def test_one_value_of_gigabytes_is_refused_by_the_operating_system(filled, query):
    with pytest.raises(QueryError, match=r"needs more than 0.0625 GiB of memory"):
        sql_apart(filled, query, SMALL, 1)


def test_a_function_that_cannot_be_interrupted_ends_with_its_process(filled, monkeypatch):
    monkeypatch.setattr(apart, "_GRACE_S", 0.5)
    query = "select levenshtein(repeat('a', 200000), repeat('b', 200000))"
    with pytest.raises(QueryError, match="stopped after 1 s"):
        sql_apart(filled, query, QueryLimits(seconds=1, memory_bytes=1 << 30), 1)
