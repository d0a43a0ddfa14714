"""Sensors: complete plates become partitions, finished screens are taken further."""

from __future__ import annotations

import json

import dagster as dg
from phenolake.errors import PhenolakeError
from phenolake.identity import PlateKey
from phenolake_resources import ScreensResource

from phenolake_assets.jobs import marts_job, plate_job, screen_job
from phenolake_assets.partitions import plates, screens


@dg.sensor(
    job=plate_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="new_plates",
)
def new_plates(context: dg.SensorEvaluationContext, screens: ScreensResource) -> dg.SensorResult:
    """A plate in the inbox whose copy is finished becomes a partition and is materialized."""
    known = set(context.instance.get_dynamic_partitions(plates.name))
    found, errors = screens.open().screens()
    fresh: list[str] = []
    waiting = 0
    for screen in found:
        try:
            for plate in screen.plates():
                if str(plate.key) in known:
                    continue
                if plate.is_complete(screens.quiet_time_s):
                    fresh.append(str(plate.key))
                else:
                    waiting += 1
        except PhenolakeError as error:
            errors.append(error)
    for error in errors:
        context.log.error(str(error))
    if not fresh:
        reason = f"{len(known)} plates known, {waiting} still being copied"
        return dg.SensorResult(skip_reason="; ".join([reason, *map(str, errors)]))
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=key, partition_key=key) for key in fresh],
        dynamic_partitions_requests=[plates.build_add_request(fresh)],
    )


@dg.sensor(
    job=screen_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="finished_screens",
)
def finished_screens(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """A screen whose plates are all profiled is corrected and its models are trained.

    It fires again when one of its plates was profiled anew. The cursor holds, for each screen, the
    storage id of the newest profile it was run for.
    """
    seen: dict[str, int] = json.loads(context.cursor or "{}")
    newest = context.instance.get_latest_storage_id_by_partition(
        dg.AssetKey("normalized_profiles"), dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    by_screen: dict[str, list[str]] = {}
    for text in context.instance.get_dynamic_partitions(plates.name):
        by_screen.setdefault(PlateKey.parse(text).screen, []).append(text)
    ready = {
        screen: max(newest[text] for text in texts)
        for screen, texts in sorted(by_screen.items())
        if all(text in newest for text in texts)
    }
    due = [screen for screen, storage_id in ready.items() if storage_id > seen.get(screen, -1)]
    if not due:
        return dg.SensorResult(skip_reason=f"{len(ready)} of {len(by_screen)} screens are done and up to date")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"{screen}:{ready[screen]}", partition_key=screen) for screen in due
        ],
        dynamic_partitions_requests=[screens.build_add_request(due)],
        cursor=json.dumps({**seen, **{screen: ready[screen] for screen in due}}),
    )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[screen_job],
    request_job=marts_job,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="marts_after_screens",
)
def marts_after_screens(context: dg.RunStatusSensorContext) -> dg.RunRequest:
    """The marts are built anew after each finished screen."""
    return dg.RunRequest(run_key=context.dagster_run.run_id)


@dg.run_failure_sensor(name="failed_runs", default_status=dg.DefaultSensorStatus.RUNNING)
def failed_runs(context: dg.RunFailureSensorContext) -> None:
    """A failed run is logged with its partition and the sentence that says why."""
    partition = context.dagster_run.tags.get("dagster/partition", "no partition")
    context.log.error(f"{context.dagster_run.job_name} failed for {partition}: {context.failure_event.message}")


SENSORS = [new_plates, finished_screens, marts_after_screens, failed_runs]
