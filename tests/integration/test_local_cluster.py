"""The servers of deploy/local: plates over Ray into an object store while servers are restarted.

Takes minutes and starts a dozen processes, so it asks to be wanted: PHENOLAKE_TEST_CLUSTER=1.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from phenolake.lake import Lake
from plates import write_screen
from scenario import contents, installation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PLATES = ("P1", "P2", "P3")
AWS = (
    "AWS_ENDPOINT_URL",
    "AWS_ALLOW_HTTP",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
)


@pytest.fixture(scope="module")
def cluster(repository, tmp_path_factory) -> Iterator[Any]:
    if os.environ.get("PHENOLAKE_TEST_CLUSTER") != "1":
        pytest.skip("set PHENOLAKE_TEST_CLUSTER=1 to start the local cluster")
    for package in ("ray", "moto", "dagster_postgres"):
        pytest.importorskip(package)
    path = repository / "deploy" / "local" / "cluster.py"
    specification = importlib.util.spec_from_file_location("phenolake_local_cluster", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("cluster")
    for parent in (folder, *folder.parents[:2]):  # Postgres runs as another user
        parent.chmod(0o755)
    running = module.Cluster(folder)
    try:
        running.start()
        with pytest.MonkeyPatch.context() as patch:
            for name in AWS:
                patch.setenv(name, running.environment[name])
            yield running
    finally:
        running.stop()


def statuses(cluster: Any) -> dict[str, str]:
    query = """{ runsOrError(filter: {pipelineName: "plate_job"}) {
        ... on Runs { results { status tags { key value } } } } }"""
    request = urllib.request.Request(
        f"{cluster.webserver}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            runs = json.load(answer)["data"]["runsOrError"]["results"]
    except (OSError, KeyError, TypeError):
        return {}  # a server is down just now
    newest: dict[str, str] = {}
    for run in runs:
        for tag in run["tags"]:
            if tag["key"] == "dagster/partition":
                newest.setdefault(tag["value"], run["status"])
    return newest


def wait_for(cluster: Any, done: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while list(found := statuses(cluster).values()).count("SUCCESS") < done:
        log = (cluster.folder / "logs" / "daemon.log").read_text(errors="replace")
        assert time.monotonic() < until, f"{found}\n{log[-3000:]}"
        time.sleep(3)


def test_plates_end_as_in_a_local_run_while_servers_are_restarted(cluster, tmp_path):
    screen = write_screen(tmp_path / "gfp", PLATES, wells=("A01", "A02"))
    for plate in PLATES:
        (screen / plate / "_COMPLETE").touch()
    with installation(tmp_path / "plain") as home:
        home.add(screen)
        for plate in PLATES:
            assert home.run_plate("gfp", plate).success
        here = home.lake
    inbox = cluster.folder / "inbox"
    inbox.mkdir(exist_ok=True)
    shutil.copytree(screen, inbox / "gfp")
    wait_for(cluster, 1, 600)
    cluster.restart("postgres", kill=True)
    cluster.restart("webserver")
    cluster.restart("daemon")
    wait_for(cluster, len(PLATES), 900)
    there = Lake(cluster.environment["PHENOLAKE_LAKE_URI"])
    assert there.tables() == here.tables()
    for _, name in here.tables():
        columns = [c for c in contents(here, name).columns if c != "uri"]
        assert_frame_equal(
            contents(there, name).select(columns), contents(here, name).select(columns)
        )
