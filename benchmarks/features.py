"""Features: phenolake against cp_measure on the same masks, per family, on one core.

Run with `python benchmarks/features.py [--quick] [--accelerator numba]`; prints medians of CPU
seconds (wall seconds beside: they are the same on an idle machine), the ratio and the largest
relative difference. `--scaling` measures three sizes of field and the peak of memory, `--two-cores`
one worker against two, `--plate DIR` a whole plate of files named ChannelC-NN-R-CC.tif.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
from scipy import ndimage  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests" / "features")]

from cp_measure_reference import reference_columns  # noqa: E402

from phenolake.compute import LocalCompute  # noqa: E402
from phenolake.features import PRESETS, feature_names, measure  # noqa: E402

CHANNELS = ["DNA", "ER", "RNA", "AGP", "Mito"]
#: The families that cp_measure has; Moments come with its shapes and are not timed apart.
COMPARED = [
    "AreaShape", "Zernike", "Intensity", "Location", "Texture", "Correlation", "Costes",
    "RadialDistribution", "RadialZernike", "Granularity", "Neighbors",
]  # fmt: skip


def field(size: int, cells: int, seed: int = 0):
    """A uint16 image (5, size, size) and masks: round nuclei, cells that often touch, cytoplasm."""
    rng = np.random.default_rng(seed)
    across = int(np.ceil(np.sqrt(cells)))
    pitch = size / across
    grid = (np.stack(np.mgrid[:across, :across], -1).reshape(-1, 2)[:cells] + 0.5) * pitch
    centres = grid + rng.uniform(-0.15, 0.15, grid.shape) * pitch
    seeds = np.ones((size, size), bool)
    at = np.clip(centres.round().astype(int), 0, size - 1)
    seeds[tuple(at.T)] = False
    numbers = np.zeros((size, size), np.int32)
    numbers[tuple(at.T)] = np.arange(1, cells + 1)
    distance, nearest = ndimage.distance_transform_edt(seeds, return_indices=True)
    owner = numbers[tuple(nearest)]
    wobble = ndimage.gaussian_filter(rng.standard_normal((size, size)), 6)
    wobble *= 0.08 * pitch / wobble.std()
    masks = {
        "Nuclei": np.where(distance + 0.5 * wobble < 0.175 * pitch, owner, 0),
        "Cells": np.where(distance + wobble < 0.43 * pitch, owner, 0),
    }
    masks["Cytoplasm"] = np.where(masks["Nuclei"] > 0, 0, masks["Cells"])
    image = np.empty((len(CHANNELS), size, size), np.uint16)
    for c in range(len(CHANNELS)):
        spots = ndimage.gaussian_filter(rng.standard_normal((size, size)), 1 + c)
        signal = np.where(masks["Nuclei"] > 0, 9000, np.where(masks["Cells"] > 0, 4000, 600))
        signal = ndimage.gaussian_filter(signal.astype(float), 2) * (1 + 0.4 * spots / spots.std())
        image[c] = np.clip(signal + 60 * rng.standard_normal(signal.shape), 0, 65535)
    return image, masks


def median_time(function, repeats: int) -> tuple[float, float]:
    """Median CPU and wall seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time(), time.perf_counter()
        function()
        times.append((time.process_time() - start[0], time.perf_counter() - start[1]))
        if times[-1][0] > 5:  # long runs vary little
            break
    cpu, wall = (statistics.median(column) for column in zip(*times, strict=True))
    return cpu, wall


def largest_difference(ours, reference) -> float:
    """Largest difference over the larger of the reference's size and a millionth of its column's."""
    worst = 0.0
    for name in ours.columns:
        if name not in reference:
            continue
        a, b = ours[name].to_numpy(), np.asarray(reference[name], float)
        both = np.isfinite(a) & np.isfinite(b)
        if not both.any():
            continue
        floor = 1e-6 * np.abs(b[both]).max() + 1e-12
        worst = max(worst, float((np.abs(a - b)[both] / np.maximum(np.abs(b[both]), floor)).max()))
    return worst


def compare(size: int, cells: int, repeats: int, with_reference: bool) -> None:
    """Every family by ours and by cp_measure, then all of them in one call."""
    image, masks = field(size, cells)
    scaled = image / 65535
    areas = ", ".join(f"{name} {np.count_nonzero(mask)} px" for name, mask in masks.items())
    print(f"{size} x {size}, {len(CHANNELS)} channels, {masks['Cells'].max()} cells: {areas}")
    print(f"{'':22s}  ours: CPU s   wall s   cp_measure: CPU s   wall s   ratio  difference")
    total = 0.0
    for family in COMPARED:
        ours = measure(image, CHANNELS, masks, [family])  # compiles on the very first run
        cpu, wall = median_time(lambda f=family: measure(image, CHANNELS, masks, [f]), repeats)
        line = f"{family:22s} {cpu:12.4f} {wall:8.3f}"
        if with_reference:
            reference = {}
            theirs, their_wall = median_time(
                lambda f=family, r=reference: r.update(
                    reference_columns(scaled, CHANNELS, masks, f)
                ),
                repeats,
            )
            # Locations come with the intensities and shapes, which are counted already.
            total += theirs if family != "Location" else 0.0
            line += f" {theirs:19.3f} {their_wall:8.2f} {theirs / cpu:7.1f}"
            line += f" {largest_difference(ours, reference):11.1e}"
        print(line, flush=True)
    rows = [("all of these at once", image, COMPARED)]
    # What the pipeline hands over after correcting the illumination.
    rows += [("the same, float32", scaled.astype(np.float32), COMPARED)]
    rows += [(name, image, name) for name in PRESETS]
    for name, pixels, families in rows:
        measure(pixels, CHANNELS, masks, families)
        cpu, wall = median_time(
            lambda p=pixels, f=families: measure(p, CHANNELS, masks, f), repeats
        )
        line = f"{name:22s} {cpu:12.4f} {wall:8.3f}"
        if families is COMPARED and with_reference:
            line += f" {total:19.3f} {'':8s} {total / cpu:7.1f}"
        columns = len(feature_names(CHANNELS, masks, families))
        print(f"{line}   {columns} columns, {1000 * cpu / cells:.2f} ms a cell")


def scaling(preset: str) -> None:
    """Three sizes at the same density of cells; the peak of memory of a fresh process each."""
    for size, cells in ((540, 38), (1080, 150), (2160, 600)):
        code = f"import features; features.one_field({size}, {cells}, {preset!r})"
        path = f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        subprocess.run(
            [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path}
        )


def one_field(size: int, cells: int, preset: str) -> None:
    """Time one size; the image and masks themselves are told apart from the measurement."""
    image, masks = field(540, 38)
    measure(image, CHANNELS, masks, preset)  # compiled code, libraries
    image, masks = (field(size, cells)) if size != 540 else (image, masks)
    given = (image.nbytes + sum(mask.nbytes for mask in masks.values())) / 1e6
    cpu, _ = median_time(lambda: measure(image, CHANNELS, masks, preset), 3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    pixels = size * size / 1e6
    print(
        f"{preset} {size} x {size}, {cells} cells: {cpu:.3f} CPU s, {cpu / pixels:.3f} per "
        f"megapixel, {1000 * cpu / cells:.2f} ms a cell; peak {peak:.0f} MB, of which image and "
        f"masks {given:.0f} MB",
        flush=True,
    )


def measured_cells(seed: int) -> tuple[int, float]:
    """Cells and CPU seconds of one field, made in the worker and measured five times."""
    image, masks = field(720, 66, seed)
    start = time.process_time()
    cells = sum(measure(image, CHANNELS, masks, "standard").height for _ in range(5))
    return cells, time.process_time() - start


def two_cores(fields: int = 8) -> None:
    """The same fields by one worker process and by two.

    On a busy machine wall seconds say little; what two workers at a time cost more in CPU seconds
    than one alone is what an idle machine would lose.
    """
    walls, spent = {}, {}
    for workers in (1, 2):
        compute = LocalCompute(workers)
        list(compute.map(measured_cells, range(workers)))  # processes and compiled code
        start = time.perf_counter(), time.process_time()
        results = list(compute.map(measured_cells, range(fields)))
        walls[workers] = time.perf_counter() - start[0]
        own = time.process_time() - start[1] if workers > 1 else 0.0
        cells, spent[workers] = (sum(column) for column in zip(*results, strict=True))
        spent[workers] += workers * own  # while this process works, the others may have to wait
        print(
            f"{workers} worker: {walls[workers]:.2f} s, {spent[workers]:.2f} CPU s, "
            f"{cells / walls[workers]:.0f} cells/s",
            flush=True,
        )
    print(
        f"two cores: {walls[1] / walls[2]:.2f} times one by wall seconds, "
        f"{2 * spent[1] / spent[2]:.2f} by CPU seconds; load average {os.getloadavg()[0]:.1f}"
    )


def plate_site(task) -> tuple[int, int, float]:
    """Read and measure one site; cells, bytes of pixels and CPU seconds."""
    import tifffile

    start = time.process_time()
    paths, masks = task
    image = np.stack([tifffile.imread(path) for path in paths])
    cells = measure(image, ["GFP", "DNA"], masks, "standard").height
    return cells, image.nbytes, time.process_time() - start


def plate(folder: Path) -> None:
    """A two-channel plate: masks made before, then reading and measuring on two workers."""
    import tifffile

    from phenolake.segmentation import segment

    tasks = []
    for first in sorted(folder.glob("Channel1-*.tif")):
        paths = [first, first.with_name(first.name.replace("Channel1", "Channel2"))]
        image = np.stack([tifffile.imread(path) for path in paths])
        masks = segment(image, {"GFP": 0, "DNA": 1}, "classical", cell_channel="GFP")
        tasks.append((paths, masks))
    compute = LocalCompute(2)
    list(compute.map(plate_site, tasks[:2]))
    start = time.perf_counter()
    results = list(compute.map(plate_site, tasks))
    wall = time.perf_counter() - start
    cells, size, cpu = (sum(column) for column in zip(*results, strict=True))
    print(
        f"{folder.parent.name}: {len(tasks)} sites, {cells} cells, standard: {wall:.1f} s on two "
        f"workers, {cpu:.1f} CPU s; {cells / wall:.0f} cells/s, {size / wall / 1e6:.0f} MB/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small field, each thing once")
    parser.add_argument("--ours", action="store_true", help="time phenolake only")
    parser.add_argument("--accelerator", choices=["numba"], help="of cp_measure; default numpy")
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--preset", default="standard", choices=list(PRESETS), help="of --scaling")
    parser.add_argument("--two-cores", action="store_true")
    parser.add_argument("--plate", type=Path, help="folder of the images of sbs_fkhr_plate")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.scaling:
        scaling(arguments.preset)
    elif arguments.two_cores:
        two_cores()
    elif arguments.plate:
        plate(arguments.plate)
    else:
        if arguments.accelerator:
            import cp_measure

            cp_measure.set_accelerator(arguments.accelerator)
            small, masks = field(180, 4)
            for family in ("AreaShape", "Intensity", "Texture"):  # theirs compile at first call too
                reference_columns(small / 65535, CHANNELS, masks, family)
        size, cells = (360, 16) if arguments.quick else (1080, 150)
        repeats = 1 if arguments.quick else arguments.repeats
        compare(size, cells, repeats, with_reference=not arguments.ours)


if __name__ == "__main__":
    main()
