"""Do 2,000 plates go as fast as 100? Six assets a plate through Dagster into Delta, trivial pixels.

Prints CPU seconds and memory per hundred plates and the ratio of the last to the first, and draws the
curve: `python benchmarks/many_plates.py --plates 2000 --picture curve.png`. On a machine that others use,
`--paired 30` compares a lake of 100 plates with one of 2,000 in turns.
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

import dagster as dg  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from deltalake import CommitProperties, DeltaTable, Transaction  # noqa: E402
from deltalake.transaction import AddAction  # noqa: E402

from chaos.workload import TABLES, rows_of, where  # noqa: E402
from phenolake.lake import Lake  # noqa: E402
from phenolake.lake.delta_writer import Target  # noqa: E402
from phenolake.lake.maintenance import maintain  # noqa: E402
from phenolake.tables import Table  # noqa: E402

PLATES = dg.DynamicPartitionsDefinition(name="plates")
HUNDRED = 100


def plate_asset(table: Table, upstream: str | None, uri: str) -> dg.AssetsDefinition:
    """An asset that reads the plate of the asset before it, and writes its own."""

    @dg.asset(name=table.name, partitions_def=PLATES, deps=[upstream] if upstream else [])
    def made(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        lake, plate = Lake(uri), context.partition_key
        if upstream:
            assert lake.read(upstream, where(plate)).height > 0
        commit = lake.write(
            table, rows_of(table, plate, 1), where(plate), run_id=context.run.run_id
        )
        return dg.MaterializeResult(metadata={"dagster/row_count": commit.rows})

    return made


def chain(uri: str) -> Iterator[dg.AssetsDefinition]:
    before: str | None = None
    for table in TABLES:
        yield plate_asset(table, before, uri)
        before = table.name


def cpu_seconds() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@contextmanager
def through_dagster(uri: str, folder: Path, plates: int) -> Iterator[Callable[[str], None]]:
    """What runs one plate as a Dagster run of six assets."""
    definitions = dg.Definitions(
        assets=list(chain(uri)),
        jobs=[dg.define_asset_job("plate_job")],
        executor=dg.in_process_executor,
    )
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    folder.mkdir()
    with dg.DagsterInstance.local_temp(
        str(folder), overrides={"telemetry": {"enabled": False}}
    ) as instance:
        instance.add_dynamic_partitions("plates", [name_of(number) for number in range(plates)])
        job = definitions.resolve_job_def("plate_job")

        def run_one(plate: str) -> None:
            done = job.execute_in_process(partition_key=plate, instance=instance, run_config=quiet)
            assert done.success

        yield run_one


@contextmanager
def through_the_lake(uri: str) -> Iterator[Callable[[str], None]]:
    """What writes and reads the six tables of one plate, without Dagster."""

    def run_one(plate: str) -> None:
        lake = Lake(uri)
        for table in TABLES:
            lake.write(table, rows_of(table, plate, 1), where(plate))
            assert lake.read(table.name, where(plate)).height > 0

    yield run_one


def name_of(number: int) -> str:
    return f"plate{number:05d}"


def run(plates: int, folder: Path, lake_only: bool) -> tuple[np.ndarray, np.ndarray]:
    """CPU seconds and resident megabytes after each plate; maintenance once every 500 plates."""
    uri = str(folder / "lake")
    chosen = (
        through_the_lake(uri) if lake_only else through_dagster(uri, folder / "dagster", plates)
    )
    seconds, memory = np.zeros(plates), np.zeros(plates)
    with chosen as run_one:
        for number in range(plates):
            started = cpu_seconds()
            run_one(name_of(number))
            seconds[number], memory[number] = cpu_seconds() - started, resident_mb()
            if number % HUNDRED == HUNDRED - 1:
                last = np.median(seconds[number - HUNDRED + 1 : number + 1])
                print(
                    f"{number + 1:6d} plates  {last:.3f} CPU s  {memory[number]:.0f} MB", flush=True
                )
            if number % 500 == 499:
                upkeep = list(maintain(Lake(uri), retention=timedelta(days=7)))
                print(
                    f"        maintenance {sum(done.seconds for done in upkeep):.1f} s", flush=True
                )
    return seconds, memory


def fill_by_copies(lake: Lake, plates: int) -> None:
    """Give a lake of one plate so many by copies of its files, in one commit for each table."""
    (first,) = lake.read(TABLES[0].name, columns=["Metadata_Plate"])["Metadata_Plate"].unique()
    for table in TABLES:
        delta = DeltaTable(lake.table_uri(table.name))
        added, locks = [], []
        for action in pa.table(delta.get_add_actions()).to_pylist():
            path = unquote(action["path"])
            source = Path(lake.table_uri(table.name), path)
            for name in map(name_of, range(1, plates)):
                copy = path.replace(first, name)
                Path(lake.table_uri(table.name), copy).parent.mkdir()
                shutil.copyfile(source, Path(lake.table_uri(table.name), copy))
                added.append(
                    AddAction(
                        copy, action["size_bytes"], where(name), 0, True,
                        json.dumps({"numRecords": action["num_records"]}),
                    )
                )  # fmt: skip
                locks.append(Target(lake.location, str(table.layer), table.name, where(name)).lock)
        delta.create_write_transaction(
            added,
            mode="append",
            schema=delta.schema(),
            partition_by=list(table.partition_by),
            commit_properties=CommitProperties(app_transactions=[Transaction(k, 1) for k in locks]),
        )
        DeltaTable(lake.table_uri(table.name)).create_checkpoint()


def paired(plates: int, turns: int, folder: Path, lake_only: bool) -> None:
    """Plates into a small lake and a large one in turns, so that other work slows both alike."""
    runners, taken = {}, {}
    with ExitStack() as opened:
        for count in (HUNDRED, plates):
            uri, home = str(folder / f"lake{count}"), folder / f"dagster{count}"
            chosen = (
                through_the_lake(uri) if lake_only else through_dagster(uri, home, count + turns)
            )
            runners[count] = opened.enter_context(chosen)
            runners[count](name_of(0))
            fill_by_copies(Lake(uri), count - turns)
            taken[count] = np.zeros(turns)
        for turn in range(turns):
            for count, run_one in runners.items():
                started = cpu_seconds()
                run_one(name_of(count + turn))
                taken[count][turn] = cpu_seconds() - started
    few, many = (float(np.median(values)) for values in taken.values())
    print(f"CPU s a plate, {turns} in turns: {few:.3f} at {HUNDRED} plates, {many:.3f} at {plates}")
    print(f"ratio {many / few:.2f}; memory at the end {resident_mb():.0f} MB")


def draw(seconds: np.ndarray, memory: np.ndarray, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (upper, lower) = plt.subplots(2, 1, sharex=True, figsize=(7, 5), layout="constrained")
    upper.plot(seconds, ".", markersize=2, color="0.7", label="one plate")
    medians = [np.median(part) for part in np.array_split(seconds, max(1, len(seconds) // HUNDRED))]
    centres = (np.arange(len(medians)) + 0.5) * len(seconds) / len(medians)
    upper.plot(centres, medians, "-", color="C0", label="median of a hundred")
    upper.set(ylabel="CPU seconds", ylim=(0, np.percentile(seconds, 99) * 1.5))
    upper.legend(loc="upper left", frameon=False)
    lower.plot(memory, color="C0")
    lower.set(
        xlabel="plates in the lake", ylabel="resident memory, MB", ylim=(0, memory.max() * 1.2)
    )
    figure.savefig(path, dpi=100)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plates", type=int, default=2000)
    parser.add_argument("--lake-only", action="store_true", help="leave Dagster out")
    parser.add_argument(
        "--paired", type=int, metavar="TURNS", help="a small and a large lake in turns"
    )
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    if options.paired:
        with tempfile.TemporaryDirectory() as folder:
            paired(options.plates, options.paired, Path(folder), options.lake_only)
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seconds, memory = run(options.plates, Path(folder), options.lake_only)
    # The first plates make the tables and fill caches.
    first, last = np.median(seconds[10 : HUNDRED + 10]), np.median(seconds[-HUNDRED:])
    print(
        f"{options.plates} plates x {len(TABLES)} assets, {time.monotonic() - started:.0f} s by the clock"
    )
    print(
        f"CPU s a plate: first hundred {first:.3f}, last hundred {last:.3f}, ratio {last / first:.2f}"
    )
    early = memory[:HUNDRED][-1]
    print(f"memory: after a hundred {early:.0f} MB, at the end {memory[-1]:.0f} MB")
    if options.picture:
        draw(seconds, memory, options.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
