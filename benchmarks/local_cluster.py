"""Twelve simulated plates backfilled over a local cluster of two Ray nodes, with and without a death.

Prints seconds, rows lost and doubled and whether every table's hash is that of a plain local run:
`python benchmarks/local_cluster.py` (root, Postgres and iproute2).
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

import polars as pl  # noqa: E402

from backfills import LocalCluster, local_cluster, table_hashes  # noqa: E402
from phenolake.lake import Lake  # noqa: E402
from phenolake.simulation import SimulationPlan, simulate_screen  # noqa: E402
from phenolake.tables import TABLES  # noqa: E402
from scenario import contents, failure_of, installation  # noqa: E402

PATIENCE_S = 3600.0
#: Whether a node dies, and whether what watches over the nodes starts it again.
CASES = {
    "undisturbed": (False, True),
    "a node killed half-way, started again": (True, True),
    "a node killed half-way, gone": (True, False),
}
ACCOUNTS = Path("/sys/fs/cgroup/cpuacct")


@contextmanager
def processor_time() -> Iterator[Callable[[], float]]:
    """CPU seconds of this process and all that it starts, the dead included; NaN without cgroups."""
    account = ACCOUNTS / f"phenolake-{os.getpid()}"
    try:
        account.mkdir()
        (account / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        yield lambda: float("nan")
        return
    try:
        yield lambda: int((account / "cpuacct.usage").read_text()) / 1e9
    finally:
        for process in (account / "cgroup.procs").read_text().split():
            (ACCOUNTS / "cgroup.procs").write_text(process)
        account.rmdir()


def plain_run(home: Path, screen: Path, plates: tuple[str, ...]) -> Lake:
    """Every plate in this process, its lake in a folder."""
    with installation(home) as opened:
        name = opened.add(screen)
        for plate in plates:
            run = opened.run_plate(name, plate)
            assert run.success, failure_of(run)
        return opened.lake


def backfilled(cluster: LocalCluster, screen: Path, plates: tuple[str, ...], dies: bool) -> None:
    """Run a backfill to its end; with `dies`, a node is killed once half of the plates are done."""
    keys = cluster.add(screen, plates)
    backfill = cluster.backfill(keys)
    if dies:
        cluster.wait_for_plates(len(plates) // 2, PATIENCE_S)
        cluster.servers.kill_node(cluster.servers.nodes[0])
    cluster.finish(backfill, PATIENCE_S)


def lost_and_doubled(here: Lake, there: Lake) -> tuple[int, int]:
    """Rows of the local lake that the other lacks, and keys it has twice."""
    lost = doubled = 0
    for _, name in here.tables():
        keys = list(TABLES[name].key)
        found = contents(there, name) if there.exists(name) else pl.DataFrame()
        if found.is_empty():
            lost += contents(here, name).height
            continue
        lost += contents(here, name).join(found, on=keys, how="anti", nulls_equal=True).height
        doubled += found.height - found.select(keys).unique().height
    return lost, doubled


def measured(act: Callable[[], object], used: Callable[[], float]) -> tuple[float, float]:
    """Seconds by the clock and of all processors."""
    started, before = time.monotonic(), used()
    act()
    return time.monotonic() - started, used() - before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plates", type=int, default=12)
    parser.add_argument("--wells", type=int, default=6)
    parser.add_argument("--sites", type=int, default=1)
    parser.add_argument("--size", type=int, default=192, help="edge of a field, pixels")
    parser.add_argument("--repeats", type=int, default=1, help="turns of each case")
    parser.add_argument("--only", default="", help="cases whose name holds this word")
    parser.add_argument(
        "--beside", action="store_true", help="make the plain run beside the first backfill"
    )
    chosen = parser.parse_args()
    plan = SimulationPlan(
        preset="four_channel_cytotoxicity", plates=chosen.plates, wells_used=chosen.wells,
        sites=chosen.sites, size=chosen.size, name="cluster",
    )  # fmt: skip
    good = True
    with (
        tempfile.TemporaryDirectory(prefix="phenolake-cluster-") as folder,
        ProcessPoolExecutor(1, get_context("spawn")) as other,
    ):
        work = Path(folder)
        screen = work / "cluster"
        simulate_screen(plan, screen)
        plain = other.submit(plain_run, work / "plain", screen, plan.plate_names)
        if not chosen.beside:
            plain.result()
        print(f"{plan.plates} plates of {plan.used} wells, {plan.sites} sites each")
        print("| backfill | s | CPU s | rows lost | keys doubled | equal hashes |")
        print("| --- | --- | --- | --- | --- | --- |", flush=True)
        for turn in range(chosen.repeats):
            for number, (case, (dies, back)) in enumerate(CASES.items()):
                if chosen.only not in case:
                    continue
                home = work / f"{turn}-{number}"
                with (
                    processor_time() as used,
                    local_cluster(home, namespaces=True, supervised=back) as cluster,
                ):
                    clock, cpu = measured(
                        partial(backfilled, cluster, screen, plan.plate_names, dies), used
                    )
                    here = plain.result()
                    lost, doubled = lost_and_doubled(here, cluster.lake)
                    equal = table_hashes(cluster.lake) == table_hashes(here)
                good &= equal and not lost and not doubled
                print(
                    f"| {case} | {clock:.0f} | {cpu:.0f} | {lost} | {doubled} | "
                    f"{'yes' if equal else 'NO'} |",
                    flush=True,
                )
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
