"""Do Dagster's pages stay usable with 2,000 plates? The UI's own GraphQL queries, timed one by one.

`python benchmarks/many_plates_pages.py SCREEN_FOLDER` runs one plate of the screen for real, records
its events again for 100 and then 2,000 plates (the first hundred through the instance's API), opens
the UI's pages in Chromium to learn what they ask, and asks each query again alone. Prints seconds by
the clock, and CPU seconds of webserver and code server; then CPU seconds of a tick of each sensor.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "docs")]

import dagster as dg  # noqa: E402
import psutil  # noqa: E402

from phenolake.cli.runs import local_runner  # noqa: E402
from phenolake.screens.registry import ScreenRegistry  # noqa: E402
from phenolake.settings import Settings  # noqa: E402
from phenolake_resources import resources_for  # noqa: E402

ASSETS = (
    "raw_image_catalog", "segmentation_masks", "objects", "single_cell_features", "well_profiles",
    "normalized_profiles",
)  # fmt: skip
PAGES = {
    "asset": "/assets/segmentation_masks?view=overview",
    "events": "/assets/segmentation_masks?view=events",
    "partitions": "/assets/segmentation_masks?view=partitions",
    "lineage": "/assets/normalized_profiles?view=lineage",
    "catalogue": "/assets",
    "graph": "/asset-groups",
    "runs": "/runs",
    "backfills": "/runs/backfills",
    "backfill": "/runs/b/{backfill}",
    "job": "/locations/phenolake.definitions/jobs/plate_job/partitions",
}
#: Answered with the names of the jobs once the code server has loaded the definitions.
READY = (
    b'{"query": "{ repositoriesOrError { ... on RepositoryConnection { nodes { pipelines { name }'
    b' } } } }"}'
)


@dataclass(frozen=True)
class Query:
    """What a page asked: operation and body of the request."""

    page: str
    operation: str
    body: bytes


def name_of(number: int) -> str:
    return f"many__plate{number:05d}"


def one_real_plate(settings: Settings, folder: Path) -> list[dg.AssetMaterialization]:
    """Run one plate; its materializations are what the others' are copied from."""
    with local_runner(settings) as runner:
        screens = ScreenRegistry(settings.home_path / "screens", settings.inbox_path)
        plate = screens.register(folder).plates()[0]
        runner.instance.add_dynamic_partitions("plates", [str(plate.key)])
        outcome = runner.run("plate_job", str(plate.key))
        assert outcome.succeeded, outcome.failures
        found = [runner.instance.get_latest_materialization_event(dg.AssetKey(a)) for a in ASSETS]
    made = [event.asset_materialization for event in found if event is not None]
    return [event for event in made if event is not None]


def record(
    instance: dg.DagsterInstance, made: list[dg.AssetMaterialization], first: int, last: int
) -> None:
    """Partitions, a finished run and six materializations for each of these plates."""
    from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData

    for name, run_id in finished_runs(instance, first, last):
        for event in made:
            copied = dg.AssetMaterialization(
                event.asset_key, event.description, event.metadata, name, event.tags
            )
            instance.report_dagster_event(
                DagsterEvent(
                    DagsterEventType.ASSET_MATERIALIZATION.value,
                    job_name="plate_job",
                    step_key=event.asset_key.to_python_identifier(),
                    event_specific_data=StepMaterializationData(copied),
                ),
                run_id,
            )


def copy_records(instance: dg.DagsterInstance, index: Path, first: int, last: int) -> None:
    """The same, by copying the rows of the first plate in SQLite's index of asset events.

    Twenty times as fast as the API. The files of the single runs, which only a run's own page
    reads, are left out.
    """
    model = name_of(0)
    columns = "run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition"
    with sqlite3.connect(index) as connection:
        rows = connection.execute(
            f"select {columns} from event_logs where partition = ? order by id", [model]
        ).fetchall()
        for name, run_id in finished_runs(instance, first, last):
            connection.executemany(
                f"insert into event_logs ({columns}) values (?, ?, ?, ?, ?, ?, ?)",
                [
                    (run_id, row[1].replace(model, name).replace(row[0], run_id), *row[2:6], name)
                    for row in rows
                ],
            )


def finished_runs(instance: dg.DagsterInstance, first: int, last: int) -> Iterator[tuple[str, str]]:
    """Add partitions and a finished run for each; yields plate and run id."""
    names = [name_of(number) for number in range(first, last)]
    instance.add_dynamic_partitions("plates", names)
    for name in names:
        run = dg.DagsterRun(
            job_name="plate_job",
            tags={"dagster/partition": name},
            status=dg.DagsterRunStatus.SUCCESS,
            asset_selection=frozenset(dg.AssetKey(a) for a in ASSETS),
        )
        instance.run_storage.add_run(run)
        yield name, run.run_id


@contextmanager
def webserver(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Dagster's webserver over the definitions, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("dagster-webserver")
    command = [str(program), "-h", "127.0.0.1", "-p", str(port), "-m", "phenolake.definitions"]
    started = time.monotonic()
    with (folder / "webserver.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            assert process.poll() is None, (folder / "webserver.log").read_text()[-3000:]
            try:
                if b"plate_job" in ask(url, READY):
                    break
            except OSError:
                pass
            time.sleep(1)
        print(f"webserver with definitions answers after {time.monotonic() - started:.1f} s")
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def ask(url: str, body: bytes) -> bytes:
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return bytes(answer.read())


def launch_backfill(url: str, plates: int) -> str:
    """A backfill of every plate, as the dialog of the UI asks for it; no daemon takes it up."""
    mutation = """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {
        ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
    chosen = {
        "assetSelection": [{"path": [asset]} for asset in ASSETS],
        "partitionNames": [name_of(number) for number in range(plates)],
    }
    body = json.dumps({"query": mutation, "variables": {"p": chosen}}).encode()
    started = time.monotonic()
    answer = json.loads(ask(url, body))
    print(f"launching a backfill of {plates} plates: {time.monotonic() - started:.2f} s")
    return str(answer["data"]["launchPartitionBackfill"]["backfillId"])


def asked_by_pages(url: str, backfill: str, pictures: Path | None) -> list[Query]:
    """Open each page, and note the GraphQL requests that it sends."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service
    from take_pictures import FLAGS, skip_dialog

    options = ChromeOptions()
    for flag in (*FLAGS, "--window-size=1600,1000"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    found: dict[tuple[str, str], Query] = {}
    try:
        for page, path in PAGES.items():
            driver.get(url + path.format(backfill=backfill))
            skip_dialog(driver)
            time.sleep(12)
            for body in _posted(driver.get_log("performance")):
                operation = str(json.loads(body).get("operationName"))
                found.setdefault((page, operation), Query(page, operation, body.encode()))
            if pictures:
                skip_dialog(driver)
                driver.save_screenshot(str(pictures / f"{page}.png"))
    finally:
        driver.quit()
    return list(found.values())


def _posted(log: list[dict[str, Any]]) -> Iterator[str]:
    for entry in log:
        message = json.loads(entry["message"])["message"]
        request = message.get("params", {}).get("request", {})
        is_query = "/graphql" in request.get("url", "") and "postData" in request
        if is_query and message["method"] == "Network.requestWillBeSent":
            yield request["postData"]


def timed(url: str, server: psutil.Process, queries: list[Query]) -> dict[Query, tuple[float, ...]]:
    """Seconds by the clock, CPU seconds and kilobytes of each query, the better of two askings."""
    taken = {}
    for query in queries:
        tries = []
        for _ in range(2):
            before, started = cpu_seconds(server), time.monotonic()
            answer = ask(url, query.body)
            tries.append(
                (time.monotonic() - started, cpu_seconds(server) - before, len(answer) / 1e3)
            )
        taken[query] = min(tries)
    return taken


def cpu_seconds(server: psutil.Process) -> float:
    """CPU seconds of the webserver and the code servers that it started."""
    family = [server, *server.children(recursive=True)]
    return float(sum(sum(process.cpu_times()[:2]) for process in family))


def ticks(settings: Settings) -> None:
    """CPU seconds of one evaluation of each sensor that looks at plates."""
    from phenolake.definitions import definitions

    repository, held = definitions(settings).get_repository_def(), resources_for(settings)
    with dg.DagsterInstance.from_config(str(settings.dagster_path)) as instance:
        for name in ("new_plates", "finished_screens", "watched_limits"):
            sensor = repository.get_sensor_def(name)
            cursor = None
            for turn in ("first", "next"):
                context = dg.build_sensor_context(
                    instance=instance,
                    cursor=cursor,
                    repository_def=repository,
                    resources={key: held[key] for key in sensor.required_resource_keys},
                )
                started = time.process_time()
                result = sensor(context)
                print(f"sensor {name}, {turn} tick: {time.process_time() - started:.2f} CPU s")
                cursor = getattr(result, "cursor", None) or context.cursor


def fill_inbox(inbox: Path, plates: int) -> None:
    """A folder for each plate, as the microscope's computer would leave it, with one small file."""
    for number in range(plates):
        folder = inbox / "many" / name_of(number).removeprefix("many__")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "A01_s1_w1.tif").write_bytes(b"II*\0")
        (folder / "_COMPLETE").touch()


def show(
    few: dict[Query, tuple[float, ...]],
    many: dict[Query, tuple[float, ...]],
    counts: tuple[int, int],
) -> None:
    print(f"| page | query | s at {counts[0]} | s at {counts[1]} | CPU s at {counts[1]} | kB |")
    print("| --- | --- | --- | --- | --- | --- |")
    earlier = {(query.page, query.operation): taken for query, taken in few.items()}
    for query, (seconds, cpu, size) in sorted(many.items(), key=lambda pair: -pair[1][1]):
        before = earlier.get((query.page, query.operation))
        first = f"{before[0]:.2f}" if before else ""
        print(
            f"| {query.page} | {query.operation} | {first} | {seconds:.2f} | {cpu:.2f} | {size:.0f} |"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "screen", type=Path, help="folder of a screen, e.g. of `phenolake simulate`"
    )
    parser.add_argument("--plates", type=int, default=2000)
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--pictures", type=Path, help="folder for screenshots of the pages")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        settings = Settings(home=home, workers=1, segmentation="classical")
        os.environ["PHENOLAKE_HOME"] = str(home)
        made = one_real_plate(settings, options.screen)
        index = settings.dagster_path / "history" / "runs" / "index.db"
        timings = []
        before = 0
        for count in (options.few, options.plates):
            started = time.process_time()
            with dg.DagsterInstance.from_config(str(settings.dagster_path)) as instance:
                record(instance, made, before, count)
            print(
                f"{count - before} plates recorded, {time.process_time() - started:.0f} CPU s",
                flush=True,
            )
            before = count
            with webserver(Path(folder)) as (url, server):
                backfill = launch_backfill(url, count)
                queries = asked_by_pages(url, backfill, options.pictures)
                timings.append(timed(url, server, queries))
            show(timings[0], timings[-1], (options.few, count))
        print(f"index of events: {index.stat().st_size / 1e6:.0f} MB")
        fill_inbox(settings.inbox_path, options.plates)
        ticks(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
