"""A plate whose images are in an object store: fetched, measured, given back, and read there."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from chaos.moto_store import BUCKET, ENVIRONMENT, moto_store
from phenolake.identity import PlateKey
from phenolake.images.stored import Fetched
from phenolake.images.verification import differences
from phenolake.screens.store_inbox import fetch_plate, is_released
from phenolake.stages.fetched_plates import release_fetched
from plates import write_screen
from scenario import contents, failure_of, installation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

INBOX = f"s3://{BUCKET}/inbox"
KEY = PlateKey("gfp", "P1")
MEASURED = ("segmentation_masks", "single_cell_features", "illumination_functions")


@pytest.fixture
def stored(monkeypatch, tmp_path):
    """The object store, with one complete plate in the inbox of it."""
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()
    import fsspec

    made = write_screen(tmp_path / "made" / "gfp", wells=("A01", "A02"))
    with moto_store() as url:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(name, value)
        files = fsspec.filesystem("s3", skip_instance_cache=True)
        files.put(str(made), f"{BUCKET}/inbox/gfp", recursive=True)
        files.pipe(f"{BUCKET}/inbox/gfp/P1/_COMPLETE", b"")
        yield files


def test_a_plate_given_back_to_its_store_is_measured_there(stored, tmp_path):
    with installation(tmp_path / "home", inbox=INBOX) as home:
        inbox = home.settings.inbox_path
        fetch_plate(home.store(), KEY, inbox)
        home.add(inbox / "gfp")
        assert home.run_plate("gfp", "P1").success
        first = {name: contents(home.lake, name) for name in MEASURED[:2]}
        catalog = contents(home.lake, "raw_image_catalog")
        told = catalog.select("uri", "origin").iter_rows()
        assert all(o == f"{INBOX}/{Path(u).relative_to(inbox).as_posix()}" for u, o in told)

        assert list(release_fetched(home.lake, inbox, timedelta(days=2))) == []
        later = time.time() + timedelta(days=3).total_seconds()
        ((key, freed),) = release_fetched(home.lake, inbox, timedelta(days=2), later)
        assert key == KEY
        assert freed == catalog.unique("uri")["bytes"].sum()
        assert is_released(inbox, KEY)
        assert list(release_fetched(home.lake, inbox, timedelta(days=2), later)) == []
        assert home.store().scan(inbox, 60).due == {}

        for asset in MEASURED:
            run = home.run_plate("gfp", "P1", asset)
            assert run.success, failure_of(run)
        for name, rows in first.items():
            assert_frame_equal(contents(home.lake, name), rows)
        assert is_released(inbox, KEY)
        assert list(differences(catalog)) == []

        run = home.run_plate("gfp", "P1", "raw_image_catalog")
        assert run.success, failure_of(run)
        assert not is_released(inbox, KEY)
        assert_frame_equal(
            contents(home.lake, "raw_image_catalog").drop("acquired_at"),
            catalog.drop("acquired_at"),
        )


def test_what_the_store_lost_is_said(stored, tmp_path):
    with installation(tmp_path / "home", inbox=INBOX) as home:
        inbox = home.settings.inbox_path
        fetch_plate(home.store(), KEY, inbox)
        home.add(inbox / "gfp")
        assert home.run_plate("gfp", "P1").success
        catalog = contents(home.lake, "raw_image_catalog")
        assert len(list(release_fetched(home.lake, inbox, timedelta(0)))) == 1
        lost, short = catalog.filter(channel="DNA")["origin"].sort()[:2]
        stored.rm_file(lost.removeprefix("s3://"))
        stored.pipe(short.removeprefix("s3://"), b"II*")
        found = {Path(d.uri).name: d.what for d in differences(catalog)}
        assert found == {Path(lost).name: "missing", Path(short).name: "size in the store"}
        run = home.run_plate("gfp", "P1", "segmentation_masks")
        refused = contents(home.lake, "quarantine").filter(stage="segmentation_masks")
        assert run.success, failure_of(run)
        assert set(refused["uri"]) == {lost, short}


def test_plates_that_are_not_done_or_came_from_elsewhere_stay(stored, tmp_path):
    with installation(tmp_path / "home", inbox=INBOX) as home:
        inbox = home.settings.inbox_path
        fetch_plate(home.store(), KEY, inbox)
        home.add(inbox / "gfp")
        assert home.run_plate("gfp", "P1", "raw_image_catalog").success
        assert list(release_fetched(home.lake, inbox, timedelta(0))) == []
        folder = inbox / "gfp" / "P1"
        word = Fetched.of(folder)
        assert word is not None
        assert word.origin == f"{INBOX}/gfp/P1"
        assert not is_released(inbox, KEY)
