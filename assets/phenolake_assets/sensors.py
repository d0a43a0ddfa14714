"""Sensors: complete plates become partitions, finished screens are taken further."""

from collections.abc import Mapping

import dagster as dg

from phenolake.errors import LinkRefusedError, PhenolakeError
from phenolake.identity import PlateKey
from phenolake.screens.landing import LandingState, scan_inbox
from phenolake.stages.refused_links import keep_refused_links, refused_screens
from phenolake_assets.arrivals import SENSOR as INBOX_SENSOR
from phenolake_assets.jobs import marts_job, plate_job, screen_job
from phenolake_assets.partitions import PLATES, plates, screens
from phenolake_assets.pools import make_pools_known
from phenolake_assets.store_inbox import plates_in_store
from phenolake_assets.watching import failed_runs, watched_limits
from phenolake_resources import LakeResource, ScreensResource


@dg.sensor(
    job=plate_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name=INBOX_SENSOR,
)
def new_plates(
    context: dg.SensorEvaluationContext, screens: ScreensResource, lake: LakeResource
) -> dg.SensorResult:
    """A plate whose copy is finished becomes a partition; one whose files change is made anew."""
    make_pools_known(context.instance)
    known = context.instance.get_dynamic_partitions(PLATES)
    found, errors = screens.open().screens()
    state = LandingState.from_text(context.cursor)
    scan = scan_inbox(found, state, known, screens.quiet_time_s)
    refused = scan.refused | refused_screens(errors)
    problems = [*map(str, errors), *map(str, scan.refused.values()), *scan.errors]
    problems += _quarantined(lake, refused, state)
    for problem in problems:
        context.log.error(problem)
    due = scan.fresh | scan.changed
    if not due:
        reason = f"{len(known)} plates known, {len(scan.waiting)} still being copied"
        waiting = [f"{key}: {why}" for key, why in list(scan.waiting.items())[:5]]
        return dg.SensorResult(
            skip_reason="; ".join([reason, *waiting, *problems]), cursor=state.to_text()
        )
    return dg.SensorResult(
        # The fingerprint makes a plate that was acquired again a run of its own.
        run_requests=[
            dg.RunRequest(run_key=f"{key}:{fingerprint}", partition_key=key)
            for key, fingerprint in due.items()
        ],
        dynamic_partitions_requests=[plates.build_add_request(list(scan.fresh))]
        if scan.fresh
        else [],
        cursor=state.to_text(),
    )


def _quarantined(
    lake: LakeResource, refused: Mapping[PlateKey, LinkRefusedError], state: LandingState
) -> list[str]:
    """Write refused links down where they changed; a lake that is away is tried again next time."""
    targets = {str(key): error.target for key, error in refused.items()}
    if targets == state.refused:
        return []
    try:
        keep_refused_links(lake.open(), refused)
    except (PhenolakeError, OSError) as error:
        return [str(error)]
    state.refused = targets
    return []


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


SENSORS = [
    plates_in_store,
    new_plates,
    finished_screens,
    marts_after_screens,
    failed_runs,
    watched_limits,
]
