"""Sensors that call a person: failed runs at once, a full disk or a stuck queue when they begin."""

import json

import dagster as dg

from phenolake.alerts import send_alert
from phenolake.identity import PlateKey
from phenolake.settings import Settings
from phenolake_assets.operations import observe


@dg.run_failure_sensor(name="failed_runs", default_status=dg.DefaultSensorStatus.RUNNING)
def failed_runs(context: dg.RunFailureSensorContext) -> None:
    """A failed run is logged with its partition and the sentence that says why, and alerted."""
    run = context.dagster_run
    partition = run.tags.get("dagster/partition", "no partition")
    reasons = [
        data.user_failure_data.description
        for event in context.get_step_failure_events()
        if (data := event.step_failure_data).user_failure_data
        and data.user_failure_data.description
    ]
    reason = "; ".join(dict.fromkeys(filter(None, reasons))) or context.failure_event.message
    text = f"{run.job_name} failed for {partition}: {reason}"
    context.log.error(text)
    place = place_of(partition)
    send_alert(_webhook(), text, run_id=run.run_id, job=run.job_name, **place)


@dg.sensor(
    name="watched_limits",
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def watched_limits(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Room, delay and the lake are looked at; what is newly wrong is logged and alerted, once."""
    settings = Settings()
    problems = observe(context.instance, settings).problems(settings)
    problems.pop("failed plates", None)  # each has had an alert of its own
    known = set(json.loads(context.cursor or "[]"))
    for kind in problems.keys() - known:
        context.log.error(problems[kind])
        send_alert(_webhook(), problems[kind])
    context.update_cursor(json.dumps(sorted(problems)))
    return dg.SkipReason("; ".join(problems.values()) or "all is well")


def place_of(partition: str) -> dict[str, str]:
    """Screen and plate that a partition key names."""
    if "__" not in partition:
        return {"screen": partition}
    key = PlateKey.parse(partition)
    return {"screen": key.screen, "plate": key.plate}


def _webhook() -> str:
    return Settings().alert_webhook.get_secret_value()
