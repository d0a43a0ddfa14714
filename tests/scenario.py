"""An installation of Phenolake in a temporary folder, whose jobs run in the test's process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import polars as pl

from phenolake.lake import Lake
from phenolake.screens.registry import ScreenRegistry
from phenolake.screens.store_inbox import StoreInbox
from phenolake.settings import Settings
from phenolake.tables import TABLES
from phenolake_assets.jobs import (
    FURTHER_MODELS,
    PLATE_ASSETS,
    SCREEN_ASSETS,
    encoder_job,
    field_models_job,
    plate_job,
    retrain_job,
    screen_job,
)
from phenolake_assets.partitions import PLATES, SCREENS
from phenolake_resources import resources_for

#: Which run wrote a row, when and from which version differ between two runs of equal results.
OF_THE_RUN = (
    "run_id",
    "found_at",
    "mlflow_run_id",
    "Metadata_InputVersion",
    "Metadata_FitVersion",
    "input_version",
)


@dataclass(frozen=True)
class Installation:
    """Settings, lake and Dagster instance of one temporary home."""

    settings: Settings
    instance: dg.DagsterInstance
    definitions: dg.Definitions

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.tables_uri)

    def store(self) -> StoreInbox:
        """The inbox on an object store."""
        return StoreInbox(self.settings.inbox_uri)

    def add(self, folder: Path) -> str:
        """Register a screen and make its partitions; returns its name."""
        registry = ScreenRegistry(self.settings.home_path / "screens", self.settings.inbox_path)
        screen = registry.register(folder)
        keys = [str(plate.key) for plate in screen.plates()]
        self.instance.add_dynamic_partitions(PLATES, keys)
        self.instance.add_dynamic_partitions(SCREENS, [screen.config.name])
        return screen.config.name

    def run(
        self, job: str, partition: str, only: str | Sequence[str] | None = None, **config: object
    ) -> dg.ExecuteInProcessResult:
        """Run a job, or some of its assets, for a partition; a failure is in the result, not raised.

        `config` is that of assets by name.
        """
        names = [only] if isinstance(only, str) else only
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=partition,
            asset_selection=[dg.AssetKey(name) for name in names] if names else None,
            raise_on_error=False,
            run_config={
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                "ops": {name: {"config": values} for name, values in config.items()},
            },
        )

    def lines(self, run: dg.ExecuteInProcessResult) -> list[str]:
        """What the run's log in the UI says."""
        return [entry.user_message for entry in self.instance.all_logs(run.run_id)]

    def run_plate(
        self, screen: str, plate: str, only: str | None = None
    ) -> dg.ExecuteInProcessResult:
        return self.run("plate_job", f"{screen}__{plate}", only)

    def run_screen(self, screen: str, only: str | None = None) -> dg.ExecuteInProcessResult:
        return self.run("screen_job", screen, only)


@contextmanager
def installation(home: Path, **settings: object) -> Iterator[Installation]:
    """Open a home; its marts are left out, since dbt has tests of its own."""
    chosen = Settings(home=home, **{"workers": 1, "segmentation": "classical", **settings})
    definitions = dg.Definitions(
        assets=[*PLATE_ASSETS, *SCREEN_ASSETS, *FURTHER_MODELS],
        jobs=[plate_job, screen_job, retrain_job, field_models_job, encoder_job],
        resources=resources_for(chosen),
        executor=dg.in_process_executor,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        yield Installation(chosen, instance, definitions)


def facts_of(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    """What the materialization of an asset tells, by name."""
    event = next(
        event
        for event in result.get_asset_materialization_events()
        if event.asset_key.path == [asset]
    )
    return {name: value.value for name, value in event.materialization.metadata.items()}


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """The sentence that the first failed step shows, without Dagster's frame around it."""
    event = next(event for event in result.all_events if event.is_step_failure)
    data = event.step_failure_data
    described = data.user_failure_data.description if data.user_failure_data else None
    return described or data.error.to_string()


def contents(lake: Lake, name: str, where: dict[str, str] | None = None) -> pl.DataFrame:
    """Rows of a table in key order, without what names the run that wrote them."""
    rows = lake.read(name, where).drop(OF_THE_RUN, strict=False)
    return rows.sort(TABLES[name].key) if name in TABLES else rows.sort(pl.all())
