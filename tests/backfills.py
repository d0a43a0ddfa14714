"""The local cluster of deploy/, and backfills over it through the GraphQL that the UI uses."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.workload import table_hash
from phenolake.lake import Lake
from phenolake.screens.registry import ScreenRegistry
from phenolake.tables import TABLES
from phenolake_assets.jobs import PLATE_ASSETS
from phenolake_assets.partitions import PLATES
from rights import let_others_in
from scenario import contents

_SCRIPT = Path(__file__).resolve().parents[1] / "deploy" / "local" / "cluster.py"
_LAUNCH = """mutation($what: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $what) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_STATUS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status } } }"""
_REPOSITORY = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
    name location { name } sensors { id } } } } }"""
_ENDED = """{ runsOrError(filter: {statuses: [SUCCESS]}) { ... on Runs { results {
    tags { key value } } } } }"""
_STOP = "mutation($id: String!) { stopSensor(id: $id) { __typename } }"
_ADD = """mutation($key: String!, $of: String!, $where: RepositorySelector!) {
    addDynamicPartition(partitionKey: $key, partitionsDefName: $of, repositorySelector: $where) {
        __typename } }"""


@contextmanager
def local_cluster(folder: Path, **options: bool) -> Iterator[LocalCluster]:
    """A running cluster; this process finds its object store until it is stopped."""
    specification = importlib.util.spec_from_file_location("phenolake_local_cluster", _SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    folder.mkdir(parents=True, exist_ok=True)
    let_others_in(folder)  # Postgres runs as another user
    servers = module.Cluster(folder, **options)
    before = dict(os.environ)
    try:
        servers.start()
        os.environ.update({k: v for k, v in servers.environment.items() if k.startswith("AWS_")})
        yield LocalCluster(servers)
    finally:
        servers.stop()
        os.environ.clear()
        os.environ.update(before)


@dataclass(frozen=True)
class LocalCluster:
    """What a person does with a running cluster over its pages."""

    servers: Any

    @property
    def lake(self) -> Lake:
        return Lake(self.servers.environment["PHENOLAKE_LAKE_URI"])

    def ask(self, query: str, **variables: object) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.servers.webserver}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["data"]

    def add(self, screen: Path, plates: Sequence[str]) -> list[str]:
        """Stop the sensors and make plates known, so that runs are those of backfills alone."""
        repository = self.ask(_REPOSITORY)["repositoriesOrError"]["nodes"][0]
        for sensor in repository["sensors"]:
            self.ask(_STOP, id=sensor["id"])
        home = self.servers.folder
        name = ScreenRegistry(home / "screens", home / "inbox").register(screen).config.name
        where = {
            "repositoryName": repository["name"],
            "repositoryLocationName": repository["location"]["name"],
        }
        keys = [f"{name}__{plate}" for plate in plates]
        for key in keys:
            answer = self.ask(_ADD, key=key, of=PLATES, where=where)["addDynamicPartition"]
            assert answer["__typename"] == "AddDynamicPartitionSuccess", answer
        return keys

    def backfill(self, plates: Sequence[str]) -> str:
        """Launch all assets of plates; returns the backfill's id."""
        assets = [{"path": list(asset.key.path)} for asset in PLATE_ASSETS]
        what = {"assetSelection": assets, "partitionNames": list(plates)}
        return str(self.ask(_LAUNCH, what=what)["launchPartitionBackfill"]["backfillId"])

    def status(self, backfill: str) -> str:
        return str(self.ask(_STATUS, id=backfill)["partitionBackfillOrError"]["status"])

    def profiled(self) -> int:
        """Plates that a run has brought to their end; 0 while a server is down."""
        try:
            runs = self.ask(_ENDED)["runsOrError"]["results"]
        except (OSError, KeyError, TypeError):
            return 0
        return len(
            {
                tag["value"]
                for run in runs
                for tag in run["tags"]
                if tag["key"] == "dagster/partition" and "__" in tag["value"]
            }
        )

    def wait_for_plates(self, count: int, seconds: float) -> None:
        self.wait(lambda: self.profiled() >= count, seconds)

    def wait(self, until: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not until():
            log = (self.servers.folder / "logs" / "daemon.log").read_text(errors="replace")
            assert time.monotonic() < end, f"waited in vain\n{log[-3000:]}"
            time.sleep(1)

    def finish(self, backfill: str, seconds: float) -> None:
        """Wait for the end of a backfill, which has to be a good one."""
        going = ("REQUESTED", "IN_PROGRESS")
        self.wait(lambda: self.status(backfill) not in going, seconds)
        assert self.status(backfill) == "COMPLETED_SUCCESS", self.status(backfill)


def table_hashes(lake: Lake) -> dict[str, tuple[int, str]]:
    """Rows of every table and the digest of them, without what names the run that wrote them."""
    found = {}
    for _, name in lake.tables():
        rows = contents(lake, name)
        found[name] = (rows.height, table_hash(rows, TABLES[name]))
    return found
