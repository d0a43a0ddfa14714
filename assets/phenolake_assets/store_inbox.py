"""An object-store inbox: a sensor that looks at the store, and the job that copies one plate."""

import dagster as dg

from phenolake.identity import PlateKey
from phenolake.screens.store_inbox import fetch_plate
from phenolake_assets.landing import STORAGE_RETRY
from phenolake_resources import ScreensResource


class PlateConfig(dg.Config):
    """Which plate to copy."""

    plate: str


@dg.op(retry_policy=STORAGE_RETRY)
def copy_plate(
    context: dg.OpExecutionContext, config: PlateConfig, screens: ScreensResource
) -> None:
    """Copy one plate from the object store to the local inbox."""
    store = screens.store()
    if store is None:
        raise dg.Failure("PHENOLAKE_INBOX names no object store (any more).")
    inbox = screens.open().inbox
    files = fetch_plate(store, PlateKey.parse(config.plate), inbox)
    context.log.info(f"{files} files of {config.plate} copied to {inbox}")


@dg.job(description="Copies one complete plate from the object store to the local inbox.")
def fetch_job() -> None:
    """The one step."""
    copy_plate()


@dg.sensor(
    job_name=fetch_job.name,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="plates_in_store",
)
def plates_in_store(
    context: dg.SensorEvaluationContext, screens: ScreensResource
) -> dg.SensorResult:
    """A plate whose upload to the object store is finished is copied to the local inbox."""
    store = screens.store()
    if store is None:
        return dg.SensorResult(skip_reason="the inbox is a folder, not an object store")
    turn = int(context.cursor or 0)
    scan = store.scan(screens.open().inbox, screens.quiet_time_s, turn)
    for problem in scan.errors:
        context.log.error(problem)
    waiting = [f"{key}: {why}" for key, why in list(scan.waiting.items())[:5]]
    reason = "; ".join([f"{len(scan.waiting)} plates still being uploaded", *waiting, *scan.errors])
    return dg.SensorResult(
        # The fingerprint makes a plate that changed a run of its own.
        run_requests=[
            dg.RunRequest(
                run_key=f"{key}:{fingerprint}",
                run_config=dg.RunConfig(ops={"copy_plate": PlateConfig(plate=key)}),
            )
            for key, fingerprint in scan.due.items()
        ],
        skip_reason=None if scan.due else reason,
        cursor=str(scan.turn),
    )
