"""Features of one field: phenolake against cp_measure on the same masks, per family, on one core.

Run with `python benchmarks/features.py [--quick]`; prints medians in seconds, the ratio and the
largest relative difference. Set the number of threads of BLAS and OpenMP to 1 before.
"""

from __future__ import annotations

import argparse
import os
import statistics
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

from phenolake.features import FAMILIES, PRESETS, measure  # noqa: E402

CHANNELS = ["DNA", "ER", "RNA", "AGP", "Mito"]
COMPARED = [name for name in FAMILIES if name != "Count"]


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


def median_time(function, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
        if times[-1] > 5:  # long runs vary little
            break
    return statistics.median(times)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small field, each thing once")
    parser.add_argument("--ours", action="store_true", help="time phenolake only")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    size, cells = (360, 16) if arguments.quick else (1080, 150)
    repeats = 1 if arguments.quick else arguments.repeats
    image, masks = field(size, cells)
    scaled = image / 65535
    areas = ", ".join(f"{name} {np.count_nonzero(mask)} px" for name, mask in masks.items())
    print(f"{size} x {size}, {len(CHANNELS)} channels, {masks['Cells'].max()} cells: {areas}")
    print(
        f"{'family':20s} {'phenolake s':>12s} {'cp_measure s':>13s} {'ratio':>7s} {'difference':>11s}"
    )
    total_ours = total_theirs = 0.0
    for family in COMPARED:
        ours = measure(image, CHANNELS, masks, [family])  # compiles on the very first run
        mine = median_time(lambda f=family: measure(image, CHANNELS, masks, [f]), repeats)
        total_ours += mine
        if arguments.ours:
            print(f"{family:20s} {mine:12.4f}")
            continue
        reference = {}
        theirs = median_time(
            lambda f=family, r=reference: r.update(reference_columns(scaled, CHANNELS, masks, f)),
            repeats,
        )
        total_theirs += theirs
        difference = largest_difference(ours, reference)
        print(f"{family:20s} {mine:12.4f} {theirs:13.3f} {theirs / mine:7.1f} {difference:11.1e}")
    for preset in PRESETS:
        mine = median_time(lambda p=preset: measure(image, CHANNELS, masks, p), repeats)
        ratio = f" {total_theirs:13.3f} {total_theirs / mine:7.1f}" if preset == "full" else ""
        print(f"{'preset ' + preset:20s} {mine:12.4f}{'' if arguments.ours else ratio}")


if __name__ == "__main__":
    main()
