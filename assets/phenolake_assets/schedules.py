"""Schedules: every night, screens are corrected and modelled anew, marts rebuilt, tables tidied."""

from collections.abc import Iterator

import dagster as dg

from phenolake_assets.jobs import maintenance_job, marts_job, screen_job
from phenolake_assets.partitions import SCREENS


@dg.schedule(
    job=screen_job,
    cron_schedule="0 2 * * *",
    name="nightly_screens",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def nightly_screens(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """One run for each known screen."""
    for screen in sorted(context.instance.get_dynamic_partitions(SCREENS)):
        yield dg.RunRequest(
            run_key=f"{context.scheduled_execution_time}:{screen}", partition_key=screen
        )


nightly_marts = dg.ScheduleDefinition(
    name="nightly_marts",
    job=marts_job,
    cron_schedule="0 5 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
nightly_maintenance = dg.ScheduleDefinition(
    name="nightly_maintenance",
    job=maintenance_job,
    cron_schedule="0 6 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
SCHEDULES = [nightly_screens, nightly_marts, nightly_maintenance]
