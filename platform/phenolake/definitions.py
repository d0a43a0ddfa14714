"""What Dagster loads: assets, jobs, sensors, schedules and resources, put together."""

from __future__ import annotations

import dagster as dg

from phenolake.settings import Settings
from phenolake_assets.dbt_project import manifest_file
from phenolake_assets.jobs import FURTHER_MODELS, JOBS, PLATE_ASSETS, SCREEN_ASSETS
from phenolake_assets.marts import mart_assets
from phenolake_assets.quarantine import quarantine
from phenolake_assets.schedules import SCHEDULES
from phenolake_assets.segmentation_network import segmentation_network
from phenolake_assets.sensors import SENSORS
from phenolake_assets.store_inbox import fetch_job
from phenolake_assets.table_maintenance import table_maintenance
from phenolake_resources import resources_for


def definitions(settings: Settings) -> dg.Definitions:
    """All definitions of an installation with these settings."""
    return dg.Definitions(
        assets=[
            *PLATE_ASSETS,
            *SCREEN_ASSETS,
            *FURTHER_MODELS,
            quarantine,
            segmentation_network,
            table_maintenance,
            mart_assets(manifest_file(settings.home_path / "dbt")),
        ],
        jobs=[*JOBS, fetch_job],
        sensors=SENSORS,
        schedules=SCHEDULES,
        resources=resources_for(settings),
        # Starting a process per step costs more than most steps; fields are mapped to processes.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of this installation, made when Dagster asks for them, not on import."""
    return definitions(Settings())
