"""The servers of deploy/local: plates over Ray into an object store while servers are restarted.

Takes minutes and starts a dozen processes, so it asks to be wanted: PHENOLAKE_TEST_CLUSTER=1.
"""

from __future__ import annotations

import os
import shutil
import sys

import pytest
from polars.testing import assert_frame_equal

from plates import write_screen
from scenario import contents, installation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PLATES = ("P1", "P2", "P3")


@pytest.fixture(autouse=True)
def wanted() -> None:
    if os.environ.get("PHENOLAKE_TEST_CLUSTER") != "1":
        pytest.skip("set PHENOLAKE_TEST_CLUSTER=1 to start the local cluster")
    for package in ("ray", "moto", "dagster_postgres"):
        pytest.importorskip(package)


def test_plates_end_as_in_a_local_run_while_servers_are_restarted(tmp_path):
    from backfills import local_cluster

    screen = write_screen(tmp_path / "gfp", PLATES, wells=("A01", "A02"))
    for plate in PLATES:
        (screen / plate / "_COMPLETE").touch()
    with installation(tmp_path / "plain") as home:
        home.add(screen)
        for plate in PLATES:
            assert home.run_plate("gfp", plate).success
        here = home.lake
    with local_cluster(tmp_path / "cluster") as cluster:
        inbox = cluster.servers.folder / "inbox"
        inbox.mkdir(exist_ok=True)
        shutil.copytree(screen, inbox / "gfp")
        cluster.wait_for_plates(1, 600)
        cluster.servers.restart("postgres", kill=True)
        cluster.servers.restart("webserver")
        cluster.servers.restart("daemon")
        cluster.wait_for_plates(len(PLATES), 900)
        there = cluster.lake
        assert set(there.tables()) >= set(here.tables())  # the screen's tables may have begun
        for _, name in here.tables():
            # Images were copied to another inbox, and their times with them.
            columns = [c for c in contents(here, name).columns if c != "uri"]
            assert_frame_equal(
                contents(there, name).select(columns), contents(here, name).select(columns)
            )


def test_a_backfill_over_two_networks_ends_as_a_local_run_although_a_node_dies(
    tmp_path, repository
):
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the command ip (iproute2)")
    sys.path.insert(0, str(repository / "benchmarks"))
    from local_cluster import backfilled, plain_run

    from backfills import local_cluster, table_hashes

    screen = write_screen(tmp_path / "gfp", PLATES, wells=("A01", "A02"))
    here = plain_run(tmp_path / "plain", screen, PLATES)
    with local_cluster(tmp_path / "cluster", namespaces=True) as cluster:
        backfilled(cluster, screen, PLATES, dies=True)
        assert table_hashes(cluster.lake) == table_hashes(here)
