"""Run jobs in this process, recorded in the same Dagster instance that the UI shows."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from phenolake.settings import Settings

_DAGSTER_YAML = """\
# Written by phenolake when absent; change it as you like.
telemetry:
  enabled: false
python_logs:
  managed_python_loggers: [phenolake]
concurrency:
  runs:
    max_concurrent_runs: 1 # each run uses every core
run_monitoring:
  enabled: true
run_retries:
  enabled: true
  max_retries: 1
  retry_on_asset_or_op_failure: false
retention:
  sensor:
    purge_after_days: 7
  schedule:
    purge_after_days: 90
"""


def prepare_home(settings: Settings) -> None:
    """Create Dagster's home with a configuration, and point this process and its children at it."""
    home = settings.dagster_path
    home.mkdir(parents=True, exist_ok=True)
    settings.inbox_path.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").touch()
    if (home / "dagster.yaml").stat().st_size == 0:
        (home / "dagster.yaml").write_text(_DAGSTER_YAML, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ["PHENOLAKE_HOME"] = str(settings.home_path)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its id, the metadata of each asset, and why steps failed."""

    run_id: str
    assets: dict[str, Mapping[str, Any]]
    failures: list[str]

    @property
    def succeeded(self) -> bool:
        """Whether every step did."""
        return not self.failures


class Runner:
    """Runs the jobs of the definitions, one after the other, in this process."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self._definitions = definitions
        self.instance = instance

    def assets_of(self, job: str, leave_out: Collection[str] = ()) -> list[dg.AssetKey]:
        """Assets that a job materializes, but those named."""
        keys = self._definitions.resolve_job_def(job).asset_layer.selected_asset_keys
        return sorted(key for key in keys if key.path[-1] not in leave_out)

    def run(
        self, job: str, partition: str | None = None, leave_out: Collection[str] = ()
    ) -> Outcome:
        """Run a job for a partition; failures are in the outcome, not raised."""
        result = self._definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=partition,
            asset_selection=self.assets_of(job, leave_out) if leave_out else None,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        assets = {
            event.asset_key.path[-1]: event.materialization.metadata
            for event in result.get_asset_materialization_events()
            if event.asset_key is not None
        }
        failures = [
            _reason(event)
            for event in result.all_events
            if event.event_type_value == "STEP_FAILURE"
        ]
        if not result.success and not failures:
            failures = ["the run failed; open it in the UI for its log"]
        return Outcome(result.run_id, assets, failures)


@contextmanager
def local_runner(settings: Settings) -> Iterator[Runner]:
    """A runner on this installation's Dagster home."""
    prepare_home(settings)
    from phenolake.definitions import definitions

    with dg.DagsterInstance.from_config(str(settings.dagster_path)) as instance:
        yield Runner(definitions(settings), instance)


def _reason(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    described = data.user_failure_data.description if data.user_failure_data else None
    error = data.error
    text = described or ((error.cause or error).message.strip() if error else "unknown failure")
    return f"{event.step_key}: {text}"
