"""Fields measured per second on a Ray cluster of one core and of two, and in this process.

Prints seconds by the clock and CPU seconds of everything, less what the servers take when nothing is
at work, which depends on the clock alone; medians of turns:
`python benchmarks/ray_throughput.py`; asked: two cores at least 1.7 times one.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from local_cluster import measured, processor_time  # noqa: E402

from phenolake.compute import Compute, LocalCompute  # noqa: E402
from phenolake.images.sites import Site, complete_sites  # noqa: E402
from phenolake.ray_compute import RayCompute  # noqa: E402
from phenolake.simulation import SimulationPlan, simulate_screen  # noqa: E402
from phenolake.stages.cells import (  # noqa: E402
    MeasureSite,
    PackedMasks,
    sites_with_masks,
)
from scenario import failure_of, installation  # noqa: E402


@contextmanager
def ray_of(cores: int) -> Iterator[Compute]:
    """A cluster of this machine with so many cores."""
    import ray

    paths = os.pathsep.join(filter(None, sys.path))
    ray.init(
        "local", num_cpus=cores, include_dashboard=False, logging_level="ERROR",
        log_to_driver=False, object_store_memory=200 << 20,
        runtime_env={"env_vars": {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}},
    )  # fmt: skip
    try:
        yield RayCompute("auto")
    finally:
        ray.shutdown()


@contextmanager
def in_this_process(cores: int) -> Iterator[Compute]:
    yield LocalCompute(cores)


def fields(folder: Path, count: int, size: int) -> list[tuple[Site, PackedMasks]]:
    """Sites of a simulated plate with their masks, as the assets make them."""
    plan = SimulationPlan(plates=1, wells_used=4, sites=-(-count // 4), size=size, name="fields")
    simulate_screen(plan, folder / "fields")
    with installation(folder / "home") as home:
        name = home.add(folder / "fields")
        for asset in ("raw_image_catalog", "illumination_functions", "segmentation_masks"):
            run = home.run_plate(name, "P01", asset)
            assert run.success, failure_of(run)
        catalog = home.lake.read("raw_image_catalog")
        roles = catalog["channel"].unique(maintain_order=True).to_list()
        sites = complete_sites(catalog, roles)
        return list(sites_with_masks(sites, home.lake.batches("segmentation_masks")))[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=16)
    parser.add_argument("--size", type=int, default=1080)
    parser.add_argument("--families", default="standard")
    parser.add_argument("--turns", type=int, default=3)
    chosen = parser.parse_args()
    places: dict[str, Callable[[], object]] = {
        "this process": lambda: in_this_process(1),
        "Ray, one core": lambda: ray_of(1),
        "Ray, two cores": lambda: ray_of(2),
    }
    clock, cpu = defaultdict(list), defaultdict(list)
    work = MeasureSite(chosen.families, None)
    with tempfile.TemporaryDirectory() as folder, processor_time() as used:
        tasks = fields(Path(folder), chosen.fields, chosen.size)
        for _ in range(chosen.turns):
            for place, opened in places.items():
                with opened() as compute:  # type: ignore[attr-defined]
                    for _ in compute.map(work, tasks[:4]):
                        pass  # workers are started and have imported the engine

                    def act(compute: Compute = compute) -> None:
                        assert sum(1 for _ in compute.map(work, tasks)) == len(tasks)

                    seconds, processors = measured(act, used)
                    pause, idle = measured(partial(time.sleep, 5), used)
                    clock[place].append(seconds)
                    cpu[place].append(processors - idle * seconds / pause)
                    print(
                        f"{place}: {seconds:.2f} s, {processors:.2f} CPU s, "
                        f"{idle / pause:.3f} CPU s a second when idle",
                        flush=True,
                    )
    print(f"{len(tasks)} fields of {chosen.size} x {chosen.size}, {chosen.families}")
    print("| where | s | CPU s | fields a second | against one core |")
    print("| --- | --- | --- | --- | --- |")
    one = statistics.median(clock["Ray, one core"])
    for place in places:
        seconds, processors = statistics.median(clock[place]), statistics.median(cpu[place])
        rate = len(tasks) / seconds
        print(f"| {place} | {seconds:.2f} | {processors:.2f} | {rate:.2f} | {one / seconds:.2f} |")


if __name__ == "__main__":
    main()
