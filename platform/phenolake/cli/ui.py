"""`phenolake ui`: Dagster's webserver and daemon, and MLflow, as children of this process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import typer

from phenolake.cli.runs import prepare_home
from phenolake.settings import Settings


def serve(host: str, port: int, mlflow_port: int) -> int:
    """Run until interrupted, or until one of the servers ends; returns the exit status."""
    settings = Settings()
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
    typer.echo(f"Drop plates into {settings.inbox_path}/<screen>/<plate>/. Press Ctrl-C to stop.")
    return _until_one_ends({name: subprocess.Popen(command) for name, command in commands.items()})


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
            server.terminate()
        for server in servers.values():
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
