"""`phenolake ui`: Dagster's webserver and daemon, and MLflow, as children of this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import typer

from phenolake.cli.ports import refuse_taken
from phenolake.cli.runs import prepare_home
from phenolake.settings import Settings


def serve(host: str, port: int, mlflow_port: int) -> int:
    """Run until interrupted, or until one of the servers ends; returns the exit status."""
    settings = Settings()
    refuse_taken(host, port=port, **({} if settings.mlflow_uri else {"mlflow_port": mlflow_port}))
    prepare_home(settings)
    bin_folder = Path(sys.executable).parent
    commands = {
        "Dagster": [
            str(bin_folder / "dagster"), "dev", "-m", "phenolake.definitions", "-h", host, "-p", str(port),
        ],
    }  # fmt: skip
    if not settings.mlflow_uri:
        store = settings.home_path / "mlflow"
        store.mkdir(parents=True, exist_ok=True)
        commands["MLflow"] = [
            str(bin_folder / "mlflow"), "server", "--host", host, "--port", str(mlflow_port), "--workers", "1",
            "--backend-store-uri", settings.mlflow_tracking_uri, "--artifacts-destination", str(store / "artifacts"),
        ]  # fmt: skip
    typer.echo(
        f"Dagster: http://{host}:{port}   MLflow: {settings.mlflow_uri or f'http://{host}:{mlflow_port}'}"
    )
    inbox = settings.inbox_uri or settings.inbox_path
    typer.echo(f"Drop plates into {inbox}/<screen>/<plate>/. Press Ctrl-C to stop.")
    # MLflow's job workers serve language models; seven idle processes are saved without them.
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # Groups of their own, so that whatever a server has started can be stopped with it.
    return _until_one_ends(
        {
            name: subprocess.Popen(command, start_new_session=True)
            for name, command in commands.items()
        }
    )


def _until_one_ends(servers: dict[str, subprocess.Popen[bytes]]) -> int:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        while True:
            for name, server in servers.items():
                if server.poll() is not None:
                    typer.secho(f"{name} ended with status {server.returncode}", fg="red", err=True)
                    return 1
            time.sleep(1)
    except KeyboardInterrupt:
        return 0
    finally:
        for server in servers.values():
            # An interrupt, as from the keyboard: `dagster dev` stops its own children on no other.
            server.send_signal(signal.SIGINT)
        for server in servers.values():
            with suppress(subprocess.TimeoutExpired):
                server.wait(timeout=30)
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
