"""Faults thrown at a lake, and what was lost, doubled or left behind: the table of RESULTS.md.

Run `python benchmarks/chaos.py`; `--quick` makes few turns of each, `--only WORD` chooses faults.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from chaos import scenarios  # noqa: E402
from chaos.fault_proxy import FAULTS, fault_proxy  # noqa: E402
from chaos.moto_store import BUCKET, ENVIRONMENT, moto_store  # noqa: E402
from chaos.scenarios import Outcome  # noqa: E402
from phenolake.lake import Lake  # noqa: E402


def local_faults(quick: bool) -> Iterator[tuple[str, Callable[[Path], Outcome]]]:
    """Each fault of a local lake, with the folder it may use."""
    kills, real, processes, plates, turns = (3, 1, 2, 2, 2) if quick else (50, 50, 8, 20, 10)
    yield "killed", lambda folder: scenarios.killed(folder, kills)
    yield "processes", lambda folder: scenarios.many_writers(folder, processes, plates)
    yield "same plate", lambda folder: scenarios.same_plate(folder, turns)
    yield "clock", lambda folder: scenarios.clock_an_hour_off(folder, turns)
    if scenarios.can_mount():
        yield "disk full", lambda folder: scenarios.full_disk(folder, turns)
        yield "read-only", lambda folder: scenarios.read_only_disk(folder, turns)
    else:
        print("disk full and read-only: left out, only root can mount", file=sys.stderr)
    yield "real", lambda folder: _real(folder, real)


def _real(folder: Path, times: int) -> Outcome:
    from chaos.pipeline import pipeline_killed

    return pipeline_killed(folder, times)


def store_faults(quick: bool, only: str) -> Iterator[Outcome]:
    """Each fault of an object store, through a proxy before moto's server."""
    chosen = [fault for fault in FAULTS if only in f"store {fault}"]
    if not chosen:
        return
    with moto_store() as url, fault_proxy(url) as proxy:
        os.environ.update(ENVIRONMENT, AWS_ENDPOINT_URL=proxy.url)
        for fault in chosen:
            lake = Lake(f"s3://{BUCKET}/{fault.replace(' ', '-')}")
            share = 0.5 if fault == "lost answer" else 0.05
            yield scenarios.faulty_store(lake, proxy, fault, share, 2 if quick else 10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few turns of each fault")
    parser.add_argument("--only", default="", help="faults whose name holds this word")
    options = parser.parse_args()
    print("| fault | times | rows lost | keys doubled | files left | equal | s to recover |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    harmless = True
    for name, fault in local_faults(options.quick):
        if options.only in name:
            with tempfile.TemporaryDirectory() as folder:
                harmless &= _show(fault(Path(folder)))
    for outcome in store_faults(options.quick, options.only):
        harmless &= _show(outcome)
    return int(not harmless)


def _show(o: Outcome) -> bool:
    equal = "yes" if o.equal else "NO"
    print(
        f"| {o.fault} | {o.times} | {o.lost} | {o.doubled} | {o.stray} | {equal} | "
        f"{o.seconds_to_recover:.1f} |",
        flush=True,
    )
    return o.harmless


if __name__ == "__main__":
    sys.exit(main())
