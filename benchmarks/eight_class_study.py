"""The published eight-class study on a simulated four-channel screen, at a size that a CPU can do.

Classes are seven compounds at their two highest doses and the solvent; 42 measured properties for
the classical models, 32 x 32 x 4 crops for the networks. The split by cell is the study's; the one
by well and the one by plate stand beside it. Example:
`python benchmarks/eight_class_study.py --cells 300 --epochs 25 --networks cnn2 cnn3`.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import polars as pl
import torch

from phenolake.features import measure
from phenolake.modeling import cut_crops, split_by, train_forest, train_network
from phenolake.modeling.classical import train_linear
from phenolake.modeling.labels import VALIDATION, encode_labels
from phenolake.modeling.scores import classification_scores
from phenolake.simulation import SimulationPlan, plate_map, simulate_site
from phenolake.simulation.assays import ASSAYS

SPLITS = ("cell", "Metadata_Well", "Metadata_Plate")
FRACTIONS = {"train": 5 / 6, "validation": 1 / 6}  # 50,000 and 10,000 cells of the study
_DOSES = 2


def wells_of(plan: SimulationPlan) -> pl.DataFrame:
    """Plate, well and class of the solvent wells and of each compound's highest doses."""
    wells = plate_map(plan)
    top = (
        wells.filter(pl.col("control") == "trt")
        .group_by("perturbation")
        .agg(pl.col("concentration").unique().top_k(_DOSES))
        .explode("concentration")
    )
    treated = wells.join(top, on=["perturbation", "concentration"], how="semi")
    solvent = wells.filter(pl.col("control") == "negcon")
    return pl.concat([treated.filter(pl.col("control") == "trt"), solvent]).sort("plate", "well")


def cells_of(plan: SimulationPlan) -> tuple[pl.DataFrame, np.ndarray]:
    """Keys, class and properties of all cells of the chosen wells, and their crops."""
    channels = ASSAYS[plan.preset].channels
    frames, crops = [], []
    for plate, well, label in wells_of(plan).select("plate", "well", "perturbation").iter_rows():
        for number in range(1, plan.sites + 1):
            site = simulate_site(plan, plate, well, number)
            if site.table.is_empty():
                continue
            masks = {"Nuclei": site.nuclei, "Cells": site.cells}
            keys = {"Metadata_Plate": plate, "Metadata_Well": well, "Metadata_Site": number}
            frame = measure(site.image, channels, masks, families="cytotoxicity_42")
            frames.append(
                frame.with_columns(**{k: pl.lit(v) for k, v in keys.items()}, label=pl.lit(label))
            )
            crops.append(cut_crops(site.image, site.nuclei).pixels)
    return pl.concat(frames, how="diagonal"), np.concatenate(crops)


def drawn(cells: pl.DataFrame, per_class: int, seed: int) -> np.ndarray:
    """Rows of as many random cells of each class."""
    rng = np.random.default_rng(seed)
    labels = cells["label"].to_numpy()
    rows = [
        rng.permutation(np.flatnonzero(labels == name))[:per_class] for name in np.unique(labels)
    ]
    return np.sort(np.concatenate(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plates", type=int, default=3)
    parser.add_argument("--sites", type=int, default=1)
    parser.add_argument("--cells", type=int, default=300, help="cells per class, both parts")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--networks", nargs="+", default=["cnn2", "cnn3"])
    parser.add_argument("--splits", nargs="+", default=list(SPLITS))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seed = arguments.seed
    plan = SimulationPlan(
        "four_channel_cytotoxicity", arguments.plates, 96, arguments.sites, seed,
        batches=arguments.plates, shuffle_layout=True,
    )  # fmt: skip
    started = time.process_time()
    cells, crops = cells_of(plan)
    rows = drawn(cells, arguments.cells, seed)
    cells, crops = cells[rows], crops[rows]
    labels = cells["label"].to_list()
    codes = encode_labels(labels).codes
    properties = cells.select(pl.exclude("^Metadata_.*$", "label"))
    print(
        f"{len(cells)} cells of {arguments.plates} plates, {properties.width} properties, "
        f"{time.process_time() - started:.0f} CPU s",
        flush=True,
    )
    models = {
        "random forest": lambda split: train_forest(
            properties, labels, split, trees=arguments.trees, correlation_limit=0.95, seed=seed
        ),
        "LDA": lambda split: train_linear(properties, labels, split, method="lda", seed=seed),
        "linear SVM": lambda split: train_linear(
            properties, labels, split, method="svm", seed=seed
        ),
    }
    for name in arguments.networks:
        models[name] = lambda split, name=name: train_network(
            crops, labels, split, model=name, epochs=arguments.epochs, seed=seed, device="cpu",
            learning_rate=arguments.learning_rate,
        )  # fmt: skip
    print("| model | split | accuracy | CPU s |\n| --- | --- | --- | --- |")
    for by in arguments.splits:
        split = split_by(cells, by, FRACTIONS, seed, labels)
        held = np.flatnonzero(split == VALIDATION)
        for name, train in models.items():
            started = time.process_time()
            model = train(split)
            data = crops[held] if name in arguments.networks else properties[held]
            scores = classification_scores(codes[held], model.predict_proba(data), model.classes)
            seconds = time.process_time() - started
            print(
                f"| {name} | {by} | {scores.metrics['accuracy']:.3f} | {seconds:.0f} |", flush=True
            )


if __name__ == "__main__":
    main()
