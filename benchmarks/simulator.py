"""Fields per second of the simulator on one core, truth included: `python benchmarks/simulator.py`.

Prints a line per preset: by the clock, by processor time (for a busy machine), and to disk.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from threadpoolctl import threadpool_limits

from phenolake.simulation import SimulationPlan, simulate_screen, simulate_site
from phenolake.simulation.layout import plate_layout
from phenolake.simulation.plan import PRESET_NAMES


def in_memory(plan: SimulationPlan) -> tuple[float, float, float]:
    """Fields per second by clock and by processor time, and cells per field; compiled code warm."""
    plate = plan.plate_names[0]
    wells = [well.name for well in plate_layout(plan, plate)]
    simulate_site(plan, plate, wells[0], 1)
    start, processor = time.perf_counter(), time.process_time()
    cells = sum(simulate_site(plan, plate, well, 1).table.height for well in wells)
    n = len(wells)
    return n / (time.perf_counter() - start), n / (time.process_time() - processor), cells / n


def on_disk(plan: SimulationPlan) -> float:
    """Fields per second when images and truth are written to a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        simulate_screen(plan, Path(folder) / "screen")
        return plan.used / (time.perf_counter() - start)


def main() -> None:
    """Measure both presets on one thread and print the table."""
    head = ("preset", "image", "cells/field", "fields/s", "fields/cpu-s", "fields/s to disk")
    print("{:<28}{:>12}{:>13}{:>10}{:>14}{:>18}".format(*head))
    for preset in PRESET_NAMES:
        plan = SimulationPlan(preset=preset, wells_used=60)
        speed, per_cpu, cells = in_memory(plan)
        channels, height, width = simulate_site(plan, "P01", "B02", 1).image.shape
        shape = f"{height}x{width}x{channels}"
        speeds = f"{speed:>10.1f}{per_cpu:>14.1f}{on_disk(plan):>18.1f}"
        print(f"{preset:<28}{shape:>12}{cells:>13.0f}{speeds}")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
