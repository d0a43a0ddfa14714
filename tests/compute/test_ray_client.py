"""Fields sent to a Ray cluster by a machine that is none of its nodes (`ray://`)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from compute import fields
from phenolake.compute import LocalCompute
from phenolake.ray_compute import RayCompute

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HEAD = "import sys; from ray.scripts.scripts import main; sys.exit(main())"
PATIENCE_S = 120


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A head with two cores and two GPUs that nobody looks for, started as `deploy/` does."""
    ray = pytest.importorskip("ray")
    client, port = free_port(), free_port()
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",  # Ray reads this when it is imported, maybe long ago
            "GRPC_ENABLE_FORK_SUPPORT": "0",
        }.items():
            patch.setenv(name, value)
        command = [
            sys.executable, "-c", HEAD, "start", "--head", "--block", f"--port={port}",
            f"--ray-client-server-port={client}", "--node-ip-address=127.0.0.1", "--num-cpus=2",
            "--num-gpus=2", "--include-dashboard=false", "--object-store-memory=80000000",
            f"--temp-dir={folder}",
        ]  # fmt: skip
        with Path(folder, "head.log").open("wb") as log:
            head = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + PATIENCE_S
        while not answers(client):
            assert head.poll() is None, Path(folder, "head.log").read_text()
            assert time.monotonic() < end, "the head did not start"
            time.sleep(0.5)
        try:
            yield f"ray://127.0.0.1:{client}"
        finally:
            ray.shutdown()
            os.killpg(head.pid, signal.SIGTERM)
            try:
                head.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(head.pid, signal.SIGKILL)


def test_results_are_those_of_a_local_run_and_in_order(address: str) -> None:
    there = list(RayCompute(address).map(fields.filtered, range(12)))
    here = list(LocalCompute(1).map(fields.filtered, range(12)))
    assert all(np.array_equal(one, other) for one, other in zip(there, here, strict=True))


def test_errors_of_a_field_come_back_as_they_are(address: str) -> None:
    with pytest.raises(ValueError, match="field 3 is odd"):
        list(RayCompute(address).map(fields.refuse, range(6)))


def test_a_killed_worker_costs_its_field_only(address: str, tmp_path: Path) -> None:
    tasks = [(str(tmp_path), number) for number in range(6)]
    assert list(RayCompute(address).map(fields.count_and_die_once, tasks)) == [0, 1, 4, 9, 16, 25]
    assert len(list(tmp_path.iterdir())) >= 7


def test_actors_hold_their_model(address: str, tmp_path: Path) -> None:
    results = list(RayCompute(address, gpus=1).map(fields.Model(tmp_path), range(8)))
    assert [square for square, _ in results] == [number * number for number in range(8)]
    assert len(list(tmp_path.iterdir())) == len({process for _, process in results}) == 2
