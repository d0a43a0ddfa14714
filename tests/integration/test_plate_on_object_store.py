"""A plate and its screen with the lake on an object store: the tables of a local run, counted requests."""

from __future__ import annotations

import pytest
from polars.testing import assert_frame_equal

from chaos.fault_proxy import FaultProxy, fault_proxy
from chaos.moto_store import BUCKET, ENVIRONMENT, moto_store
from phenolake.lake.maintenance import maintain
from plates import write_screen
from scenario import contents, failure_of, installation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

#: A plate makes 12 commits. It took 349 to 399 requests when this was set.
MOST_REQUESTS = 500


@pytest.fixture
def store(monkeypatch) -> FaultProxy:
    pytest.importorskip("boto3")
    pytest.importorskip("moto.server")
    with moto_store() as url, fault_proxy(url) as proxy:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": proxy.url}.items():
            monkeypatch.setenv(name, value)
        yield proxy


def test_a_plate_on_s3_has_the_tables_of_a_local_run_in_bounded_requests(
    store, tmp_path, record_property
):
    screen = write_screen(tmp_path / "gfp", wells=("A01", "A02"))
    with installation(tmp_path / "local") as home:
        home.add(screen)
        assert home.run_plate("gfp", "P1").success
        here = home.lake
    with installation(tmp_path / "remote", lake_uri=f"s3://{BUCKET}/lake") as home:
        home.add(screen)
        run = home.run_plate("gfp", "P1")
        assert run.success, failure_of(run)
        there = home.lake
        requests = sum(store.requests.values())
        store.requests.clear()
        assert home.run_plate("gfp", "P1").success
        again = sum(store.requests.values())
    record_property("requests of a plate", requests)
    print(f"requests of a plate: {requests}, made again: {again}, {dict(store.requests)}")
    assert max(requests, again) < MOST_REQUESTS
    assert there.tables() == here.tables()
    for layer, name in here.tables():
        assert_frame_equal(contents(there, name), contents(here, name))
        counted = there.sql(f"select count(*) from {layer}.{name}").item()
        assert counted == there.table(name).collect().height
    assert {done.table for done in maintain(there)} == {name for _, name in here.tables()}
    there.restore("well_profiles", 0, {"Metadata_Screen": "gfp", "Metadata_Plate": "P1"})
    assert there.sql("select count(*) from lineage.partitions").item() > 0
    assert not (tmp_path / "remote" / "tables").exists()
