"""The DuckDB file for dbt and other clients answers without this package."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from lake.lake_frames import plate, profiles
from phenolake.errors import ConfigurationError
from phenolake.lake import Lake, write_catalog
from phenolake.tables import WELL_PROFILES, Layer


@pytest.mark.parametrize("folder", ["lake", "it's [a] *lake*", "x=1"])
def test_a_plain_duckdb_connection_answers_from_the_lake(tmp_path, folder):
    lake = Lake(str(tmp_path / folder))
    for name in ("007", "P 1", "100%", "漢" * 60):
        lake.write(WELL_PROFILES, profiles(2), plate(name))
    catalog = tmp_path / "deep" / "catalog.duckdb"
    write_catalog(lake, catalog)
    with duckdb.connect(str(catalog), read_only=True) as connection:
        found = connection.sql(
            "select Metadata_Plate, count(*) from gold.well_profiles group by 1"
        ).fetchall()
        assert dict(found) == dict.fromkeys(("007", "P 1", "100%", "漢" * 60), 2)
        assert connection.sql("select * from silver.segmentation_masks").fetchall() == []


def test_clients_may_build_on_the_catalog_and_it_can_be_written_again(lake, tmp_path):
    lake.write(WELL_PROFILES, profiles(2), plate("P1"))
    lake.write_mart("hits", pa.table({"a": [1]}))
    catalog = tmp_path / "catalog.duckdb"
    for rows in (2, 3):
        lake.write(WELL_PROFILES, profiles(rows), plate("P1"))
        write_catalog(lake, catalog)
        with duckdb.connect(str(catalog)) as connection:
            connection.execute(
                "create table marts.hits as select count(*) n from gold.well_profiles"
            )
            assert connection.sql("select n from marts.hits").fetchall() == [(rows,)]
    assert [p.name for p in tmp_path.iterdir() if "catalog" in p.name] == ["catalog.duckdb"]


def test_marts_are_in_the_catalog_when_asked(lake, tmp_path):
    lake.write_mart("hits", pa.table({"a": [1]}))
    write_catalog(lake, tmp_path / "c.duckdb", layers=tuple(Layer))
    with duckdb.connect(str(tmp_path / "c.duckdb"), read_only=True) as connection:
        assert connection.sql("select a from marts.hits").fetchall() == [(1,)]


def test_a_folder_in_place_of_a_file_is_named(lake, tmp_path):
    with pytest.raises(ConfigurationError, match="is a folder"):
        write_catalog(lake, tmp_path)
