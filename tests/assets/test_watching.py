"""What an operator is told: status, metrics, alerts, log lines with screen and plate."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.sensor_definition import SensorType
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo

from lake.lake_frames import plate, profiles
from phenolake.alerts import send_alert
from phenolake.errors import ConfigurationError
from phenolake.lake import Lake
from phenolake.screens.landing import LandingState
from phenolake.settings import Settings
from phenolake.tables import WELL_PROFILES
from phenolake_assets.arrivals import SENSOR
from phenolake_assets.operations import observe
from phenolake_assets.partitions import PLATES
from phenolake_assets.watching import failed_runs, place_of, watched_limits
from terminal import call, user_at

MENDED: dict[str, bool] = {}
STANDARD = SensorType.STANDARD
LOADABLE = LoadableTargetOrigin(module_name="phenolake.definitions")


@dg.asset(name="normalized_profiles", partitions_def=dg.DynamicPartitionsDefinition(name=PLATES))
def profiled(context: dg.AssetExecutionContext) -> None:
    context.log.info("measuring")
    if context.partition_key.endswith("bad") and context.partition_key not in MENDED:
        raise dg.Failure(description="P_bad.tif: not readable", allow_retries=False)


@pytest.fixture
def listener():
    """An HTTP server that keeps what is posted to it."""
    posted: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append(json.loads(body))
            self.send_response(500 if self.path == "/broken" else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/token-of-chat", posted
    server.shutdown()


@pytest.fixture
def home(tmp_path):
    with user_at(tmp_path / "home") as home:
        yield home


def run(instance: dg.DagsterInstance, partition: str) -> dg.ExecuteInProcessResult:
    instance.add_dynamic_partitions(PLATES, [partition])
    job = dg.Definitions(
        assets=[profiled],
        jobs=[dg.define_asset_job("plate_job", selection=[profiled])],
        executor=dg.in_process_executor,
    ).resolve_job_def("plate_job")
    return job.execute_in_process(partition_key=partition, instance=instance, raise_on_error=False)


def test_operations_count_plates_failures_and_bytes(home):
    settings = Settings()
    lake = Lake(settings.tables_uri)
    lake.write(WELL_PROFILES, profiles(3), plate("P1"))
    with dg.DagsterInstance.ephemeral() as instance:
        run(instance, "S1__P1")
        run(instance, "S1__P_bad")
        instance.add_dynamic_partitions(PLATES, ["S1__P3"])
        now = observe(instance, settings)
    assert (now.plates, now.plates_profiled, now.plates_last_hour) == (3, 1, 1)
    assert now.failed_plates == ("S1__P_bad",)
    assert (now.lake_rows, now.lake_files) == (3, 1)
    assert now.lake_bytes > 1000
    assert (now.runs_waiting, now.runs_at_work) == (0, 0)
    assert "S1__P_bad" in now.problems(settings)["failed plates"]


def test_a_plate_profiled_twice_counts_once_and_a_silent_daemon_is_told(home):
    with dg.DagsterInstance.local_temp() as instance:
        run(instance, "S1__P1")
        run(instance, "S1__P1")
        before = observe(instance, Settings())
        beat = DaemonHeartbeat(time.time() - 90, "SENSOR", "id", [])
        instance.add_daemon_heartbeat(beat)
        after = observe(instance, Settings())
    assert (before.plates_last_hour, before.plates_last_day) == (1, 1)
    assert before.daemon_silent_s is None
    assert after.daemon_silent_s == pytest.approx(90, abs=60)


def test_a_plate_that_succeeded_after_it_failed_is_no_failed_plate(home, monkeypatch):
    with dg.DagsterInstance.ephemeral() as instance:
        run(instance, "S1__P_bad")
        monkeypatch.setitem(MENDED, "S1__P_bad", True)
        run(instance, "S1__P_bad")
        assert observe(instance, Settings()).failed_plates == ()


def test_status_prints_and_says_by_its_exit_whether_to_look(home):
    answer = call("status")
    assert answer.output.splitlines()[0].startswith("plates  0 known")
    assert answer.status == int("look" in answer.output)


def test_too_little_room_is_a_problem(home):
    with dg.DagsterInstance.ephemeral() as instance:
        settings = Settings(alert_free_gb=10**9)
        found = observe(instance, settings).problems(settings)
    assert "GB free" in found["disk"]


def test_metrics_are_readable_by_prometheus(home):
    pytest.importorskip("prometheus_client")
    from prometheus_client import generate_latest

    from phenolake.cli.status import GAUGES, registry

    with dg.DagsterInstance.ephemeral() as instance:
        run(instance, "S1__P1")
        text = generate_latest(registry(instance, Settings())).decode()
    values = dict(line.split() for line in text.splitlines() if line and not line.startswith("#"))
    assert values["phenolake_plates"] == "1.0"
    assert values["phenolake_plates_per_hour"] == "1.0"
    assert values["phenolake_lake_up"] == "1.0"
    unknown_here = {
        f"phenolake_{name}"
        for name in ("gpu_percent", "daemon_silent_seconds", "inbox_silent_seconds")
    }
    assert {f"phenolake_{name}" for name in GAUGES} - set(values) <= unknown_here


def test_a_failed_plate_is_posted_with_its_reason(home, listener, monkeypatch):
    url, posted = listener
    monkeypatch.setenv("PHENOLAKE_ALERT_WEBHOOK", url)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(instance, "S1__P_bad")
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
        ).for_run_failure()
        failed_runs(context)
    (alert,) = posted
    assert alert["text"] == "plate_job failed for S1__P_bad: P_bad.tif: not readable"
    assert (alert["screen"], alert["plate"]) == ("S1", "P_bad")
    assert alert["run_id"] == result.run_id


def test_a_limit_is_alerted_when_it_is_passed_and_not_again(home, listener, monkeypatch):
    url, posted = listener
    monkeypatch.setenv("PHENOLAKE_ALERT_WEBHOOK", url)
    monkeypatch.setenv("PHENOLAKE_ALERT_FREE_GB", "1e9")
    cursor = None
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            context = dg.build_sensor_context(instance=instance, cursor=cursor)
            watched_limits(context)
            cursor = context.cursor
    assert len(posted) == 1
    assert "GB free" in posted[0]["text"]


def test_an_alert_that_nobody_takes_is_a_log_line_without_the_address(listener, caplog):
    url, _ = listener
    assert send_alert(url, "hello", plate="P1")
    assert not send_alert("", "hello")
    assert not send_alert(url.replace("token-of-chat", "broken"), "hello")
    assert not send_alert("http://127.0.0.1:9/token-of-chat", "hello")
    assert "token-of-chat" not in caplog.text
    assert "hello" in caplog.text
    with pytest.raises(ConfigurationError, match="not an http"):
        send_alert("file:///etc/passwd", "hello")


def test_the_address_of_the_webhook_is_not_shown(monkeypatch, home):
    monkeypatch.setenv("PHENOLAKE_ALERT_WEBHOOK", "https://chat/token-of-chat")
    assert "token-of-chat" not in repr(Settings())
    assert "token-of-chat" not in Settings().model_dump_json()


def test_log_lines_of_a_run_name_screen_plate_run_and_step(tmp_path, repository, capfd):
    configuration = yaml.safe_load((repository / "deploy" / "dagster.yaml").read_text())
    chosen = {"python_logs": configuration["python_logs"], "telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=chosen) as instance:
        done = run(instance, "S1__P1")
    lines = [
        json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")
    ]
    (line,) = (line for line in lines if line["message"] == "measuring")
    assert (line["screen"], line["plate"], line["step"]) == ("S1", "P1", "normalized_profiles")
    assert (line["run_id"], line["job"], line["level"]) == (done.run_id, "plate_job", "info")
    assert "T" in line["time"]


def test_a_screen_is_a_place_too():
    assert place_of("S1") == {"screen": "S1"}
    assert place_of("S1__P1") == {"screen": "S1", "plate": "P1"}


@pytest.fixture
def inbox_sensor():
    """Write down a tick of the inbox sensor, as the daemon does."""

    def ticked(instance: dg.DagsterInstance, ago_s: float, cursor: str, error: str = "") -> None:
        origin = RemoteInstigatorOrigin(
            RemoteRepositoryOrigin(InProcessCodeLocationOrigin(LOADABLE, "phenolake"), "phenolake"),
            SENSOR,
        )
        then = time.time() - ago_s
        data = SensorInstigatorData(last_tick_timestamp=then, cursor=cursor, sensor_type=STANDARD)
        status = InstigatorStatus.DECLARED_IN_CODE
        state = InstigatorState(origin, InstigatorType.SENSOR, status, data)
        instance.add_instigator_state(state)
        tick = TickData(
            origin.get_id(), SENSOR, InstigatorType.SENSOR,
            TickStatus.FAILURE if error else TickStatus.SKIPPED, then,
            selector_id=state.selector_id,
            error=SerializableErrorInfo(error, [], None) if error else None,
        )  # fmt: skip
        instance.create_tick(tick)

    return ticked


def problem_of(instance: dg.DagsterInstance) -> str:
    settings = Settings()
    return observe(instance, settings).problems(settings).get("inbox", "")


def test_a_copy_that_takes_too_long_is_a_problem_of_the_inbox(home, inbox_sensor):
    started = time.time() - 7 * 3600
    waiting = {"S1__P1": (started, "2 of 4 files are there"), "S1__P2": (time.time(), "new")}
    with dg.DagsterInstance.local_temp() as instance:
        inbox_sensor(instance, 20, LandingState(waiting=waiting).to_text())
        seen = observe(instance, Settings()).arrivals
        assert problem_of(instance) == (
            "plate S1__P1 has been on its way for 7.0 h (2 of 4 files are there); "
            "did its copy stop?"
        )
    assert set(seen.waiting) == {"S1__P1", "S1__P2"}
    assert seen.silent_s == pytest.approx(20, abs=30)
    assert seen.longest_s == pytest.approx(7 * 3600, abs=60)


def test_an_inbox_that_nobody_looks_at_is_a_problem_while_the_daemon_runs(home, inbox_sensor):
    with dg.DagsterInstance.local_temp() as instance:
        assert problem_of(instance) == ""
        inbox_sensor(instance, 3600, "")
        assert problem_of(instance) == ""  # the daemon was stopped with its window
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", "id", []))
        assert "the inbox was last looked at 60 min ago" in problem_of(instance)


def test_an_inbox_that_cannot_be_looked_at_is_a_problem(home, inbox_sensor):
    with dg.DagsterInstance.local_temp() as instance:
        inbox_sensor(instance, 20, "", error="Stale file handle")
        assert problem_of(instance) == "the inbox could not be looked at: Stale file handle"
