"""A lake on S3 behaves as a local one; the server here is moto."""

from __future__ import annotations

import logging
import subprocess
import sys

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from chaos.fault_proxy import fault_proxy
from lake.lake_frames import cells, plate, profiles
from phenolake.errors import LakeLocationError, QueryError, TableMissingError
from phenolake.lake import Lake, write_catalog
from phenolake.tables import SINGLE_CELL_FEATURES, WELL_PROFILES

boto3 = pytest.importorskip("boto3")
moto_server = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def endpoint():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def lake(endpoint, monkeypatch, request):
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="screens")
    return Lake(f"s3://screens/{request.node.name}/lake")


def test_write_read_and_sql_on_s3(lake):
    lake.validate()
    assert lake.tables() == []
    with pytest.raises(TableMissingError):
        lake.read("well_profiles")
    for name in ("007", "P ü%[x]*"):
        lake.write(WELL_PROFILES, profiles(2, 1.0), plate(name))
        commit = lake.write(WELL_PROFILES, profiles(3, 2.0, ("Cells_A", "Cells_B")), plate(name))
    assert commit.version == 3
    assert lake.tables() == [("gold", "well_profiles")]
    assert lake.read("well_profiles", plate("P ü%[x]*"))["Cells_B"].to_list() == [2.0] * 3
    assert (
        lake.table("well_profiles").filter(pl.col("Metadata_Plate") == "007").collect().height == 3
    )
    assert lake.sql(
        "select Metadata_Plate, count(*) n from gold.well_profiles group by 1 order by 1"
    ).rows() == [
        ("007", 3),
        ("P ü%[x]*", 3),
    ]
    assert (
        lake.sql("select count(*) from gold.well_profiles", versions={"well_profiles": 0}).item()
        == 2
    )
    assert sum(batch.num_rows for batch in lake.batches("well_profiles", plate("007"))) == 3
    assert lake.read("well_profiles", version=0).height == 2
    lake.write(WELL_PROFILES, [], plate("007"))
    assert lake.read("well_profiles").height == 3


def test_wide_rows_stream_to_s3_and_back(lake):
    frame = cells(5_000, tuple(f"Cells_{i}" for i in range(300)))
    lake.write(SINGLE_CELL_FEATURES, frame.iter_slices(500), plate("P1"))
    mean = lake.sql("select avg(Cells_7) from silver.single_cell_features").item()
    assert np.isclose(mean, frame["Cells_7"].mean(), atol=1e-6)
    assert lake.read("single_cell_features")["Cells_299"].equals(frame["Cells_299"])


def test_sql_on_s3_reads_only(lake):
    lake.write_mart("hits", pa.table({"a": [1]}))
    with pytest.raises(QueryError):
        lake.sql("copy (select 1) to 's3://screens/x.parquet'")
    with lake.connect() as connection, pytest.raises(duckdb.Error):
        connection.execute("copy (select 1) to 's3://screens/x.parquet'")


def test_a_catalog_of_a_lake_on_s3_holds_copies_without_pixels_and_cells(lake, tmp_path):
    lake.write(WELL_PROFILES, profiles(3), plate("P1"))
    lake.write(SINGLE_CELL_FEATURES, cells(4), plate("P1"))
    write_catalog(lake, tmp_path / "c.duckdb")
    with duckdb.connect(str(tmp_path / "c.duckdb"), read_only=True) as connection:
        assert connection.sql("select sum(Cells_A) from gold.well_profiles").fetchall() == [(3.0,)]
        copied = connection.sql("from silver.single_cell_features")
        assert copied.columns == list(SINGLE_CELL_FEATURES.column_names)
        assert len(copied.fetchall()) == 4
        assert "labels" not in connection.sql("from silver.segmentation_masks").columns


def test_a_bucket_that_does_not_exist_is_named(lake):
    with pytest.raises(LakeLocationError, match="s3://no-such-bucket/x"):
        Lake("s3://no-such-bucket/x").validate()


def test_a_reader_sees_the_newest_commit_of_any_writer_and_keeps_what_it_has(lake):
    other = Lake(lake.uri)
    lake.write(WELL_PROFILES, profiles(2, 1.0), plate("P1"))
    held = lake.table("well_profiles")
    assert lake.read("well_profiles").height == 2
    script = f"""
import sys; sys.path[:0] = {sys.path!r}
from chaos.fault_proxy import fault_proxy
from lake.lake_frames import plate, profiles
from phenolake.lake import Lake
from phenolake.tables import WELL_PROFILES
Lake({lake.uri!r}).write(WELL_PROFILES, profiles(3, 2.0), plate("P2"))
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert lake.version("well_profiles") == other.version("well_profiles") == 1
    assert other.read("well_profiles").height == 5
    other.write(WELL_PROFILES, profiles(1, 1.0), plate("P1"))
    assert lake.read("well_profiles").height == 4
    assert lake.read("well_profiles", version=1).height == 5
    assert held.collect().height == 2


def test_a_table_that_nobody_changed_is_asked_for_in_one_request(lake, endpoint, monkeypatch):
    lake.write(WELL_PROFILES, profiles(2, 1.0), plate("P1"))
    with fault_proxy(endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        assert lake.version("well_profiles") == 0
        opened = sum(proxy.requests.values())
        assert lake.exists("well_profiles")
        assert sum(proxy.requests.values()) == opened + 1
