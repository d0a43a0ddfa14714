"""A real plate from images to profiles, killed at random moments and run again.

Run as a script: pipeline.py HOME SCREEN_FOLDER; runs the plate P1 through Dagster and prints `begun`.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from chaos.scenarios import Outcome, stray_files
from phenolake.lake import Lake
from phenolake.tables import TABLES
from plates import write_screen
from scenario import contents, failure_of, installation


def run_to_the_end(home: Path, screen: Path, *, tell: bool = False) -> Lake:
    """Run the plate in this process; with `tell` say when it begins."""
    with installation(home) as opened:
        name = opened.add(screen)
        if tell:
            print("begun", flush=True)
        run = opened.run_plate(name, "P1")
        assert run.success, failure_of(run)
        return opened.lake


def start(home: Path, screen: Path) -> subprocess.Popen[str]:
    """Run the plate in a process of its own; its imports are done when this returns."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(home), str(screen)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def pipeline_killed(folder: Path, times: int, seed: int = 0) -> Outcome:
    """SIGKILL at random moments of a plate's real run, each in a fresh home, and the run again."""
    rng = random.Random(seed)
    screen = write_screen(folder / "gfp")
    started = time.monotonic()
    undisturbed = run_to_the_end(folder / "undisturbed", screen)
    length = time.monotonic() - started
    lost = doubled = stray = 0
    equal, recovery = True, 0.0
    for turn in range(times):
        home = folder / f"home{turn}"
        process = start(home, screen)
        time.sleep(rng.uniform(0, length))
        process.kill()
        process.communicate()
        started = time.monotonic()
        lake = run_to_the_end(home, screen)
        recovery = max(recovery, time.monotonic() - started)
        equal &= lake.tables() == undisturbed.tables()
        for _, name in undisturbed.tables():
            expected, found = contents(undisturbed, name), contents(lake, name)
            keys = list(TABLES[name].key)
            doubled += found.height - found.select(keys).unique().height
            lost += expected.join(found, on=keys, how="anti", nulls_equal=True).height
            equal &= expected.select(sorted(expected.columns)).equals(
                found.select(sorted(found.columns))
            )
            stray += len(stray_files(lake, name))
    return Outcome("SIGKILL in a real plate's run", times, lost, doubled, stray, equal, recovery)


if __name__ == "__main__":
    run_to_the_end(Path(sys.argv[1]), Path(sys.argv[2]), tell=True)
