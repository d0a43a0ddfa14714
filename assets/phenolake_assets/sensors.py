"""Sensors: complete plates become partitions, finished screens are taken further."""

from collections.abc import Mapping

import dagster as dg

from phenolake.errors import PhenolakeError
from phenolake.identity import PlateKey
from phenolake_assets.jobs import marts_job, plate_job, screen_job
from phenolake_assets.partitions import PLATES, plates, screens
from phenolake_resources import ScreensResource


@dg.sensor(
    job=plate_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="new_plates",
)
def new_plates(context: dg.SensorEvaluationContext, screens: ScreensResource) -> dg.SensorResult:
    """A plate in the inbox whose copy is finished becomes a partition and is materialized."""
    known = set(context.instance.get_dynamic_partitions(PLATES))
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
    for fault in errors:
        context.log.error(str(fault))
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

    It fires again when one of its plates was profiled after the last correction.
    """
    profiled = _newest(context, "normalized_profiles")
    corrected = _newest(context, "batch_corrected_profiles")
    by_screen: dict[str, list[str]] = {}
    for text in context.instance.get_dynamic_partitions(PLATES):
        by_screen.setdefault(PlateKey.parse(text).screen, []).append(text)
    ready = {
        screen: max(profiled[text] for text in texts)
        for screen, texts in sorted(by_screen.items())
        if all(text in profiled for text in texts)
    }
    due = {screen: newest for screen, newest in ready.items() if newest > corrected.get(screen, -1)}
    if not due:
        return dg.SensorResult(
            skip_reason=f"{len(ready)} of {len(by_screen)} screens are done and up to date"
        )
    return dg.SensorResult(
        # The key keeps a failed run from being asked for again and again.
        run_requests=[
            dg.RunRequest(run_key=f"{screen}:{newest}", partition_key=screen)
            for screen, newest in due.items()
        ],
        dynamic_partitions_requests=[screens.build_add_request(list(due))],
    )


def _newest(context: dg.SensorEvaluationContext, asset: str) -> Mapping[str, int]:
    """Storage id of the newest materialization of each partition."""
    return context.instance.get_latest_storage_id_by_partition(
        dg.AssetKey(asset), dg.DagsterEventType.ASSET_MATERIALIZATION
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
    context.log.error(
        f"{context.dagster_run.job_name} failed for {partition}: {context.failure_event.message}"
    )


SENSORS = [new_plates, finished_screens, marts_after_screens, failed_runs]
