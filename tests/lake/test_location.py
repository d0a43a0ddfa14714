"""A lake that can't be where it is said to be gives one sentence."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest

from lake.lake_frames import PLATE, profiles
from phenolake.errors import LakeLocationError
from phenolake.lake import Lake
from phenolake.tables import WELL_PROFILES
from rights import let_others_in

NOBODY = 65534


@pytest.fixture
def unprivileged():
    """Run as a user whom permissions bind; root is above them."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only_lake(tmp_path):
    let_others_in(tmp_path)
    lake = Lake(str(tmp_path / "lake"))
    lake.write(WELL_PROFILES, profiles(), PLATE)
    folders = [Path(lake.uri), *(p for p in Path(lake.uri).rglob("*") if p.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield lake
    for folder in folders:
        folder.chmod(0o755)


def test_making_a_lake_touches_nothing(tmp_path):
    lake = Lake(str(tmp_path / "none"))
    assert lake.uri == str(tmp_path / "none")
    assert lake.table_uri("well_profiles") == f"{tmp_path}/none/gold/well_profiles"
    assert lake.table_uri("hits") == f"{tmp_path}/none/marts/hits"
    assert not (tmp_path / "none").exists()


def test_relative_and_home_folders_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Lake("x/../lake").uri == str(tmp_path / "lake")
    assert Lake("~/lake").uri == str(tmp_path / "lake")
    assert Lake("s3://bucket/a/b/").uri == "s3://bucket/a/b"


@pytest.mark.parametrize("uri", ["gs://bucket/x", "http://host/x", "s3://"])
def test_other_schemes_are_refused(uri):
    with pytest.raises(LakeLocationError, match="s3://<bucket>"):
        Lake(uri)


def test_validate_makes_the_folder(tmp_path):
    Lake(str(tmp_path / "a" / "b")).validate()
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("below", ["", "/lake"])
def test_a_file_in_the_way_is_named(tmp_path, below):
    (tmp_path / "file").write_text("x")
    lake = Lake(f"{tmp_path}/file{below}")
    with pytest.raises(LakeLocationError, match="file"):
        lake.validate()
    with pytest.raises(LakeLocationError, match="file"):
        lake.write(WELL_PROFILES, profiles(), PLATE)


def test_a_read_only_lake_can_be_read_but_says_that_it_can_not_be_written(
    read_only_lake, unprivileged
):
    assert read_only_lake.read("well_profiles").height == 3
    assert read_only_lake.sql("select count(*) from gold.well_profiles").item() == 3
    for refused in (
        read_only_lake.validate,
        lambda: read_only_lake.write(WELL_PROFILES, profiles(), PLATE),
        lambda: read_only_lake.write(WELL_PROFILES, [], PLATE),
        lambda: read_only_lake.write(WELL_PROFILES, profiles(), {**PLATE, "Metadata_Plate": "P2"}),
        lambda: read_only_lake.write_mart("hits", profiles()),
    ):
        with pytest.raises(LakeLocationError, match="can't be written") as caught:
            refused()
        assert read_only_lake.uri in str(caught.value)
        assert "PHENOLAKE_HOME" in str(caught.value)
    assert read_only_lake.version("well_profiles") == 0


@pytest.mark.parametrize(
    ("number", "says"), [(errno.EROFS, "can't be written"), (errno.ENOSPC, "no space left")]
)
def test_faults_of_the_storage_become_one_sentence(lake, monkeypatch, number, says):
    def full(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("phenolake.lake.parquet_parts.pq.ParquetWriter", full)
    with pytest.raises(LakeLocationError, match=says):
        lake.write(WELL_PROFILES, profiles(), PLATE)
    assert list(Path(lake.uri).rglob("*.parquet")) == []


def test_a_disk_that_is_full_in_the_commit_becomes_one_sentence(lake, monkeypatch):
    def full(*_, **__):
        raise OSError("Unable to copy data to file: No space left on device (os error 28)")

    monkeypatch.setattr("phenolake.lake.delta_writer.create_table_with_add_actions", full)
    with pytest.raises(LakeLocationError, match="no space left"):
        lake.write(WELL_PROFILES, profiles(), PLATE)


def test_faults_of_the_rows_are_not_taken_for_faults_of_the_lake(lake):
    def rows():
        yield profiles()
        raise PermissionError("image.tif: Permission denied")

    with pytest.raises(PermissionError, match=r"image\.tif"):
        lake.write(WELL_PROFILES, rows(), PLATE)


def test_a_lake_pickles(lake):
    assert pickle.loads(pickle.dumps(lake)).uri == lake.uri
