"""Crops per second in random order, from the Delta table and from a raw array mapped from disk.

Then the share of a training epoch that is not the network's own work. All ways take turns in one
process; medians of CPU seconds. Example: `python benchmarks/crop_loader.py --crops 100000`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from phenolake.lake import Lake
from phenolake.modeling.crop_sets import crop_rows, shuffled_batches
from phenolake.modeling.crops import Crops
from phenolake.modeling.learning.classification import ClassificationTask, Labelled
from phenolake.modeling.learning.fitting import Fit
from phenolake.modeling.learning.losses import cell_losses
from phenolake.modeling.learning.pool import CropPool
from phenolake.modeling.networks import build_network, named_model
from phenolake.modeling.trained_network import channel_statistics, standardize
from phenolake.stages.crop_sets import crop_shards, open_crop_set
from phenolake.tables import SINGLE_CELL_CROPS

WHERE = {"Metadata_Screen": "bench"}
CHANNELS = ("DNA", "Alexa488", "Actin", "Alexa647")
SITE = 200
PLATE = 50_000


def cpu(function, *arguments) -> float:
    started = time.process_time()
    function(*arguments)
    return time.process_time() - started


def fill(lake: Lake, crops: int) -> None:
    """Write plates of random crops, site by site, as the asset does."""
    rng = np.random.default_rng(0)
    site = rng.integers(0, 256, (SITE, 4, 32, 32)).astype(np.uint8)
    objects = np.arange(1, SITE + 1, dtype=np.int32)
    for number, start in enumerate(range(0, crops, PLATE)):
        plate = f"P{number:02d}"
        keys = {"Metadata_Plate": plate, "Metadata_Batch": None, "Metadata_Well": "A01"}
        sites = range(min(PLATE, crops - start) // SITE)
        rows = (
            crop_rows({**keys, "Metadata_Site": s}, Crops(np.roll(site, s, 0), objects), CHANNELS)
            for s in sites
        )
        lake.write(SINGLE_CELL_CROPS, rows, {**WHERE, "Metadata_Plate": plate})


def gathered(array: np.ndarray, batch: int, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(array))
    for start in range(0, len(order), batch):
        array[order[start : start + batch]]


def pooled(array: np.ndarray, batch: int, seed: int) -> None:
    order = torch.randperm(len(array), generator=torch.Generator().manual_seed(seed))
    for _ in CropPool(array, "cpu").batches(order.split(batch)):
        pass


def streamed(lake: Lake, batch: int, seed: int) -> None:
    for _ in shuffled_batches(crop_shards(lake, WHERE), batch, seed=seed):
        pass


def loaders(crops: int, repeats: int, batch: int, folder: Path) -> None:
    lake = Lake(str(folder / "lake"))
    print(f"writing {crops} crops of 4 x 32 x 32: {cpu(fill, lake, crops):.1f} CPU s")
    started = time.process_time()
    mapped = open_crop_set(lake, WHERE, folder / "maps").pixels
    print(f"copying the table to a mapped array, once: {time.process_time() - started:.2f} CPU s")
    raw = np.lib.format.open_memmap(folder / "raw.npy", "w+", np.uint8, mapped.shape)
    raw[:] = mapped
    raw = np.load(folder / "raw.npy", mmap_mode="r")
    ways = {
        "raw array, mapped": lambda seed: gathered(raw, batch, seed),
        "crop set, mapped": lambda seed: pooled(mapped, batch, seed),
        "Delta table, streamed": lambda seed: streamed(lake, batch, seed),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(repeats + 1):
        for name, way in ways.items():
            spent = cpu(way, seed)
            if seed:  # the first round fills the page cache
                seconds[name].append(spent)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print("| way | crops per CPU second | against raw |\n| --- | --- | --- |")
    for name, spent in medians.items():
        ratio = medians["raw array, mapped"] / spent
        print(f"| {name} | {crops / spent:,.0f} | {ratio:.2f} |")


def overhead(model: str, crops: int, repeats: int) -> None:
    """CPU seconds of an epoch, and of as many bare steps, without and with augmentation."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (crops + 10, 4, 32, 32)).astype(np.uint8)
    codes = rng.integers(0, 8, len(pixels))
    train, held = np.arange(crops), np.arange(crops, len(pixels))
    layout, recipe = named_model(model, 8, 4, 32)
    data = Labelled(pixels, codes, train, held, *channel_statistics(pixels))
    task = ClassificationTask(build_network(layout), data, recipe, True, False, "cpu")
    fit = Fit(task, recipe, 1000, 0, "cpu")
    images = standardize(torch.from_numpy(pixels[: recipe.batch_size]), data.mean, data.sd)
    # The layout in memory that augmented crops have, too.
    images = images.contiguous(memory_format=torch.channels_last)
    wanted = torch.from_numpy(codes[: recipe.batch_size])

    rows = torch.arange(recipe.batch_size)
    batch = torch.from_numpy(pixels[: recipe.batch_size])
    generator = torch.Generator()

    def bare() -> None:
        for _ in range(crops // recipe.batch_size):
            fit.optimizer.zero_grad(set_to_none=True)
            cell_losses(task.network(images), wanted).mean().backward()
            fit.optimizer.step()

    def augmented() -> None:
        for _ in range(crops // recipe.batch_size):
            fit.optimizer.zero_grad(set_to_none=True)
            task.losses(task.network, batch, rows, generator)[0].mean().backward()
            fit.optimizer.step()

    spent: dict[str, list[float]] = {"epoch": [], "augmented": [], "bare": []}
    for number in range(1, repeats + 2):
        task.network.train()
        turn = {"augmented": cpu(augmented), "bare": cpu(bare), "epoch": cpu(fit._epoch, number)}
        if number > 1:
            for name, value in turn.items():
                spent[name].append(value)
    epoch, with_crops, own = (statistics.median(values) for values in spent.values())
    print(
        f"{model}, {crops} crops: epoch {epoch:.2f} CPU s; beyond the network's own steps "
        f"{1 - own / epoch:.1%}, beyond these with augmentation {1 - with_crops / epoch:.1%}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=int, default=100_000, help="0: no loaders")
    parser.add_argument("--epoch-crops", type=int, default=3_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--models", nargs="*", default=["cnn1", "cnn2", "wide_4_1"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.crops:
        with tempfile.TemporaryDirectory() as folder:
            loaders(arguments.crops, arguments.repeats, arguments.batch, Path(folder))
    for model in arguments.models:
        overhead(model, arguments.epoch_crops, arguments.repeats)


if __name__ == "__main__":
    main()
