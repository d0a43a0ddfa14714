"""Twelve simulated plates backfilled over a local cluster of two Ray nodes, with and without a death.

Prints seconds, rows lost and doubled and whether every table's hash is that of a plain local run:
`python benchmarks/local_cluster.py` (root, Postgres and iproute2).
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

import polars as pl  # noqa: E402

from backfills import LocalCluster, local_cluster, table_hashes  # noqa: E402
from phenolake.lake import Lake  # noqa: E402
from phenolake.simulation import SimulationPlan, simulate_screen  # noqa: E402
from phenolake.tables import TABLES  # noqa: E402
from scenario import contents, failure_of, installation  # noqa: E402

PATIENCE_S = 1800.0


def plain_run(home: Path, screen: Path, plates: tuple[str, ...]) -> tuple[Lake, float]:
    """Every plate in this process, its lake in a folder; seconds of the plates."""
    with installation(home) as opened:
        name = opened.add(screen)
        started = time.monotonic()
        for plate in plates:
            run = opened.run_plate(name, plate)
            assert run.success, failure_of(run)
        return opened.lake, time.monotonic() - started


def backfilled(cluster: LocalCluster, screen: Path, plates: tuple[str, ...], dies: bool) -> float:
    """Seconds of a backfill; with `dies`, a node is killed once half of the plates are done."""
    keys = cluster.add(screen, plates)
    started = time.monotonic()
    backfill = cluster.backfill(keys)
    if dies:
        cluster.wait_for_plates(len(plates) // 2, PATIENCE_S)
        cluster.servers.kill_node(cluster.servers.nodes[0])
    cluster.finish(backfill, PATIENCE_S)
    return time.monotonic() - started


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plates", type=int, default=12)
    parser.add_argument("--wells", type=int, default=6)
    parser.add_argument("--sites", type=int, default=2)
    parser.add_argument("--size", type=int, default=256, help="edge of a field, pixels")
    parser.add_argument("--repeats", type=int, default=1, help="turns of each case")
    parser.add_argument("--only", default="", help="cases whose name holds this word")
    chosen = parser.parse_args()
    plan = SimulationPlan(
        preset="four_channel_cytotoxicity", plates=chosen.plates, wells_used=chosen.wells,
        sites=chosen.sites, size=chosen.size, name="cluster",
    )  # fmt: skip
    cases: dict[str, tuple[bool, bool]] = {
        "undisturbed": (False, True),
        "a node killed half-way, started again": (True, True),
        "a node killed half-way, gone": (True, False),
    }
    good = True
    with tempfile.TemporaryDirectory(prefix="phenolake-cluster-") as folder:
        work = Path(folder)
        simulate_screen(plan, work / "cluster")
        here, seconds = plain_run(work / "plain", work / "cluster", plan.plate_names)
        expected = table_hashes(here)
        rows = sum(height for height, _ in expected.values())
        print(f"{len(expected)} tables, {rows} rows; {plan.plates} plates of {plan.used} wells")
        print("| run | s | rows lost | keys doubled | equal hashes | against undisturbed |")
        print("| --- | --- | --- | --- | --- | --- |")
        print(f"| plain, one process | {seconds:.0f} | | | | |", flush=True)
        first: float | None = None
        for turn in range(chosen.repeats):
            for case, (dies, back) in cases.items():
                if chosen.only not in case:
                    continue
                home = work / f"{turn}-{len(case)}"
                with local_cluster(home, namespaces=True, supervised=back) as cluster:
                    seconds = backfilled(cluster, work / "cluster", plan.plate_names, dies)
                    lost, doubled = lost_and_doubled(here, cluster.lake)
                    equal = table_hashes(cluster.lake) == expected
                first = first or seconds
                good &= equal and not lost and not doubled
                print(
                    f"| {case} | {seconds:.0f} | {lost} | {doubled} | {'yes' if equal else 'NO'} | "
                    f"{seconds / first - 1:+.0%} |",
                    flush=True,
                )
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
