"""The servers that `phenolake ui` starts: a dropped plate, a backfill over GraphQL, the pages."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asgi import request
from phenolake.explorer.links import plate_link
from phenolake.lake import Lake
from phenolake.service.app import application
from plates import write_screen

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PLATE_ASSETS = (
    "raw_image_catalog",
    "plate_map",
    "illumination_functions",
    "image_quality",
    "segmentation_masks",
    "single_cell_features",
    "well_profiles",
    "normalized_profiles",
)


EXPLORER = "http://look.example"


@dataclass(frozen=True)
class Servers:
    """A running `phenolake ui`."""

    home: Path
    url: str

    def ask(self, query: str, **variables: object) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def runs(self, job: str) -> list[tuple[str, str]]:
        """Status and partition of each run of a job."""
        query = """query($job: String!) { runsOrError(filter: {pipelineName: $job}) {
            ... on Runs { results { status tags { key value } } } } }"""
        return [
            (run["status"], tag["value"])
            for run in self.ask(query, job=job)["runsOrError"]["results"]
            for tag in run["tags"]
            if tag["key"] == "dagster/partition"
        ]


def wait_for(what: Callable[[], Any], seconds: float, pause: float = 2) -> Any:
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end, "waited in vain"
        time.sleep(pause)


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    home = tmp_path_factory.mktemp("home")
    port, mlflow_port = free_port(), free_port()
    command = [sys.executable, "-c", "from phenolake.cli import main; main()"]
    settings = {
        "PHENOLAKE_HOME": str(home),
        "PHENOLAKE_WORKERS": "1",
        "PHENOLAKE_EXPLORER_URL": EXPLORER,
    }
    environment = {**os.environ, **settings}
    arguments = ["ui", "--port", str(port), "--mlflow-port", str(mlflow_port)]
    with (home / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *arguments],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Servers(home, f"http://127.0.0.1:{port}")

    def answers() -> bool:
        assert process.poll() is None, (home / "ui.log").read_text()
        try:
            return bool(running.ask("{ version }"))
        except OSError:
            return False

    try:
        wait_for(answers, 240)
        yield running
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def dropped(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    """A screen dropped into the inbox while the daemon runs, taken up with no hand work."""
    screen = write_screen(tmp_path_factory.mktemp("microscope") / "dropped", ("P1", "P2", "P3"))
    for plate in ("P1", "P2", "P3"):
        (screen / plate / "_COMPLETE").touch()
    shutil.move(screen, servers.home / "inbox" / "dropped")

    def all_done() -> bool:
        runs = servers.runs("plate_job")
        assert not [run for run in runs if run[0] == "FAILURE"], (
            servers.home / "ui.log"
        ).read_text()
        return sorted(runs) == [("SUCCESS", f"dropped__P{n}") for n in (1, 2, 3)]

    wait_for(all_done, 400)
    return servers


def test_a_plate_dropped_into_the_inbox_is_materialized(dropped: Servers) -> None:
    profiles = Lake(str(dropped.home / "tables")).read("well_profiles")
    assert sorted(profiles["Metadata_Plate"].unique()) == ["P1", "P2", "P3"]


def test_a_backfill_of_three_plates_over_graphql_finishes(dropped: Servers) -> None:
    launch = """mutation($what: LaunchBackfillParams!) {
        launchPartitionBackfill(backfillParams: $what) {
            ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
    what = {
        "assetSelection": [{"path": [name]} for name in PLATE_ASSETS],
        "partitionNames": [f"dropped__P{n}" for n in (1, 2, 3)],
    }
    lake = Lake(str(dropped.home / "tables"))
    before = lake.version("well_profiles")
    backfill = dropped.ask(launch, what=what)["launchPartitionBackfill"]["backfillId"]
    status = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
        ... on PartitionBackfill { status } } }"""

    def ended() -> str | None:
        now = dropped.ask(status, id=backfill)["partitionBackfillOrError"]["status"]
        return None if now in ("REQUESTED", "IN_PROGRESS") else str(now)

    assert wait_for(ended, 400) == "COMPLETED_SUCCESS"
    assert lake.version("well_profiles") >= before + 3
    assert lake.read("well_profiles").height == 12


@pytest.mark.browser
def test_the_pages_show_lineage_partitions_and_a_picture(dropped: Servers, tmp_path: Path) -> None:
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("needs Chromium and its driver from the operating system")
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))
    import take_pictures

    with take_pictures.browser() as driver:
        lineage = f"{dropped.url}/assets/normalized_profiles?view=lineage&lineageScope=upstream&lineageDepth=8"
        take_pictures.shoot(driver, lineage, "raw_image_catalog", tmp_path / "lineage.png")
        assert "well_profiles" in take_pictures.page_text(driver)
        masks = f"{dropped.url}/assets/segmentation_masks?view=partitions&partition=dropped__P1"
        take_pictures.shoot(driver, masks, "cells per well", tmp_path / "partition.png")
        assert take_pictures.click(driver, "[Show Markdown]")
        wait_for(
            lambda: driver.execute_script(
                "return [...document.images].some(i => i.src.startsWith('data:image/png') && i.naturalWidth > 100)"
            ),
            20,
        )
        # The materialization links to the plate's page, and that page back to the plate's partition.
        links = driver.execute_script("return [...document.links].map(link => link.href)")
        assert f"{EXPLORER}{plate_link('dropped', 'P1')}" in links
        page = request(
            application(Lake(str(dropped.home / "tables")), dropped.url),
            plate_link("dropped", "P1"),
        )
        back = re.search(r'href="([^"]*)">This plate in Dagster', page.text)
        assert back is not None
        take_pictures.shoot(driver, html.unescape(back[1]), "dropped__P1", tmp_path / "back.png")
        assert "well_profiles" in take_pictures.page_text(driver)
