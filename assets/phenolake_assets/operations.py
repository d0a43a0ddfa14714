"""How the installation is doing: plates, runs, room and delay, from Dagster's records and the lake."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster import DagsterRunStatus as Status

from phenolake.errors import PhenolakeError
from phenolake.lake import Lake
from phenolake.lake.maintenance import size
from phenolake.settings import Settings
from phenolake_assets.arrivals import HOUR, Arrivals, arrivals
from phenolake_assets.partitions import PLATES

#: What a plate's run makes last.
PROFILES = dg.AssetKey("normalized_profiles")

_RECENT_RUNS = 2000
_WAITING = [Status.QUEUED, Status.NOT_STARTED]
_AT_WORK = [Status.STARTING, Status.STARTED]


@dataclass(frozen=True)
class Operations:
    """Counts and measures at one moment."""

    plates: int
    plates_profiled: int
    plates_last_hour: int
    plates_last_day: int
    failed_plates: tuple[str, ...]
    runs_waiting: int
    runs_at_work: int
    longest_wait_s: float
    daemon_silent_s: float | None
    arrivals: Arrivals
    free_bytes: int
    lake_rows: int
    lake_files: int
    lake_bytes: int
    lake_problem: str
    gpu_percent: float | None

    def problems(self, settings: Settings) -> dict[str, str]:
        """What a person should look at: a sentence for each kind; empty when all is well."""
        shown = ", ".join(self.failed_plates[:5]) + ("..." if self.failed_plates[5:] else "")
        waited = self.longest_wait_s / HOUR
        found = {
            "lake": self.lake_problem,
            "failed plates": f"{len(self.failed_plates)} plates failed in their last run: {shown}"
            if self.failed_plates
            else "",
            "disk": f"{self.free_bytes / 1e9:.1f} GB free where {settings.home_path} is, "
            f"under {settings.alert_free_gb:g}"
            if self.free_bytes < settings.alert_free_gb * 1e9
            else "",
            "delay": f"a run has been waiting for {waited:.1f} h, over "
            f"{settings.alert_wait_hours:g}; is the daemon running?"
            if waited > settings.alert_wait_hours
            else "",
            "inbox": self.arrivals.problem(settings.alert_wait_hours * HOUR, self.daemon_silent_s),
        }
        return {kind: sentence for kind, sentence in found.items() if sentence}


def observe(instance: dg.DagsterInstance, settings: Settings) -> Operations:
    """Look at Dagster's records and the lake now."""
    now = time.time()
    waiting = instance.get_run_records(dg.RunsFilter(statuses=_WAITING), limit=_RECENT_RUNS)
    problem, rows, files, weight = _lake_size(settings)
    profiled = _profiled_since(instance, now - 24 * HOUR)
    return Operations(
        plates=len(instance.get_dynamic_partitions(PLATES)),
        plates_profiled=len(instance.get_materialized_partitions(PROFILES)),
        plates_last_hour=sum(when >= now - HOUR for when in profiled.values()),
        plates_last_day=len(profiled),
        failed_plates=_failed_plates(instance),
        runs_waiting=len(waiting),
        runs_at_work=instance.get_runs_count(dg.RunsFilter(statuses=_AT_WORK)),
        longest_wait_s=max(
            (now - record.create_timestamp.timestamp() for record in waiting), default=0.0
        ),
        daemon_silent_s=_daemon_silent_s(instance, now),
        arrivals=arrivals(instance, now),
        free_bytes=shutil.disk_usage(_existing(settings.home_path)).free,
        lake_rows=rows,
        lake_files=files,
        lake_bytes=weight,
        lake_problem=problem,
        gpu_percent=_gpu_percent(),
    )


def _profiled_since(instance: dg.DagsterInstance, since: float) -> dict[str | None, float]:
    """When each plate was last profiled, of those profiled since then."""
    wanted = dg.AssetRecordsFilter(PROFILES, after_timestamp=since)
    records = instance.fetch_materializations(wanted, limit=_RECENT_RUNS).records
    # Newest first: the first of a plate in the reversed order is overwritten by its last.
    return {record.partition_key: record.timestamp for record in reversed(records)}


def _daemon_silent_s(instance: dg.DagsterInstance, now: float) -> float | None:
    """Seconds since Dagster's daemon last said that it is there; None where it never ran."""
    heard = [beat.timestamp for beat in instance.get_daemon_heartbeats().values()]
    return now - max(heard) if heard else None


def _failed_plates(instance: dg.DagsterInstance) -> tuple[str, ...]:
    """Plates whose newest ended run failed."""
    ended = [Status.SUCCESS, Status.FAILURE]
    wanted = dg.RunsFilter(job_name="plate_job", statuses=ended)
    newest: dict[str, Status] = {}
    for record in instance.get_run_records(wanted, limit=_RECENT_RUNS):
        partition = record.dagster_run.tags.get("dagster/partition")
        if partition:
            newest.setdefault(partition, record.dagster_run.status)
    return tuple(sorted(plate for plate, status in newest.items() if status is Status.FAILURE))


def _lake_size(settings: Settings) -> tuple[str, int, int, int]:
    """A problem if there is one, and rows, files and bytes over all tables."""
    try:
        sources = Lake(settings.tables_uri).sources()
        sizes = [size(source.snapshot) for source in sources if source.snapshot is not None]
    except (PhenolakeError, OSError) as error:
        return str(error), 0, 0, 0
    rows, files, weight = (
        (sum(column) for column in zip(*sizes, strict=True)) if sizes else (0, 0, 0)
    )
    return "", rows, files, weight


def _gpu_percent() -> float | None:
    """Mean use of the GPUs; None without one."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    answer = subprocess.run(
        [program, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    values = [float(line) for line in answer.stdout.split() if line.replace(".", "").isdigit()]
    return sum(values) / len(values) if values else None


def _existing(place: Path) -> Path:
    while not place.exists():
        place = place.parent
    return place
