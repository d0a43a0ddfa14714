"""`phenolake status` and `phenolake metrics`: how the installation is doing, for people and Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import typer

from phenolake.cli.ports import refuse_taken
from phenolake.cli.runs import prepare_home
from phenolake.errors import ConfigurationError
from phenolake.settings import Settings
from phenolake_assets.operations import Operations, observe

#: Prometheus names, what they are, and where they come from.
GAUGES = {
    "plates": ("plates known", lambda o: o.plates),
    "plates_profiled": ("plates with profiles", lambda o: o.plates_profiled),
    "plates_per_hour": ("plates profiled in the last hour", lambda o: o.plates_last_hour),
    "plates_per_day": ("plates profiled in the last 24 hours", lambda o: o.plates_last_day),
    "failed_plates": ("plates whose last run failed", lambda o: len(o.failed_plates)),
    "runs_waiting": ("runs in the queue", lambda o: o.runs_waiting),
    "runs_at_work": ("runs at work", lambda o: o.runs_at_work),
    "longest_wait_seconds": ("age of the oldest waiting run", lambda o: o.longest_wait_s),
    "daemon_silent_seconds": (
        "time since the daemon's last heartbeat",
        lambda o: o.daemon_silent_s,
    ),
    "inbox_silent_seconds": (
        "time since the inbox was last looked at",
        lambda o: o.arrivals.silent_s,
    ),
    "plates_arriving": ("plates still being copied", lambda o: len(o.arrivals.waiting)),
    "longest_arrival_seconds": (
        "how long the oldest of them has been on its way",
        lambda o: o.arrivals.longest_s,
    ),
    "disk_free_bytes": ("free space where PHENOLAKE_HOME is", lambda o: o.free_bytes),
    "lake_rows": ("rows of all tables", lambda o: o.lake_rows),
    "lake_files": ("active files of all tables", lambda o: o.lake_files),
    "lake_bytes": ("bytes of all active files", lambda o: o.lake_bytes),
    "lake_up": ("1 if the lake can be read", lambda o: int(not o.lake_problem)),
    "gpu_percent": ("mean use of the GPUs", lambda o: o.gpu_percent),
}


def show_status() -> int:
    """Print how things are; returns 1 when a person should look."""
    settings = Settings()
    prepare_home(settings)
    with dg.DagsterInstance.from_config(str(settings.dagster_path)) as instance:
        now = observe(instance, settings)
    gpu = "" if now.gpu_percent is None else f", GPU {now.gpu_percent:.0f} %"
    for line in (
        f"plates  {now.plates:,} known, {now.plates_profiled:,} profiled, "
        f"{now.plates_last_hour:,} in the last hour, {now.plates_last_day:,} in the last day, "
        f"{len(now.arrivals.waiting):,} on their way",
        f"runs    {now.runs_at_work:,} at work, {now.runs_waiting:,} waiting{gpu}",
        f"lake    {now.lake_rows:,} rows in {now.lake_files:,} files, {now.lake_bytes / 1e9:.2f} GB",
        f"disk    {now.free_bytes / 1e9:.1f} GB free",
    ):
        typer.echo(line)
    problems = now.problems(settings)
    for problem in problems.values():
        typer.secho(f"look    {problem}", fg="yellow")
    return int(bool(problems))


def serve_metrics(host: str, port: int) -> int:
    """Answer Prometheus until interrupted."""
    try:
        from prometheus_client import start_http_server
    except ImportError:
        raise ConfigurationError(
            "metrics need the package prometheus-client: pip install 'phenolake[cluster]'"
        ) from None
    refuse_taken(host, port=port)
    settings = Settings()
    prepare_home(settings)
    with dg.DagsterInstance.from_config(str(settings.dagster_path)) as instance:
        server, thread = start_http_server(port, host, registry=registry(instance, settings))
        typer.echo(f"http://{host}:{server.server_port}/metrics")
        try:
            thread.join()
        except KeyboardInterrupt:
            server.shutdown()
    return 0


def registry(instance: dg.DagsterInstance, settings: Settings) -> Any:
    """A Prometheus registry whose every reading looks anew, but at most four times a minute."""
    from prometheus_client import CollectorRegistry

    made = CollectorRegistry(auto_describe=False)
    made.register(_Gauges(instance, settings))
    return made


@dataclass(eq=False)
class _Gauges:
    instance: dg.DagsterInstance
    settings: Settings
    keep_s: float = 15
    _seen: Operations | None = None
    _when: float = 0

    def collect(self) -> Iterator[Any]:
        """Prometheus' view of what was observed."""
        from prometheus_client.core import GaugeMetricFamily

        if self._seen is None or time.monotonic() - self._when > self.keep_s:
            self._seen, self._when = observe(self.instance, self.settings), time.monotonic()
        for name, (meaning, read) in GAUGES.items():
            value = read(self._seen)
            if value is not None:
                yield GaugeMetricFamily(f"phenolake_{name}", meaning, value=value)
