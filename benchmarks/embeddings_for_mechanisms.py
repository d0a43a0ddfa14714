"""Mechanisms found by profiles of measured features and by embeddings of a network.

A ten-mechanism Cell Painting screen is simulated, a batch per plate; a network learns to tell its
treatments (never the mechanisms) from crops, and the wells' mean embeddings are set beside the
wells' median features, both with the same further steps. NSCB: the nearest well of another compound
in another batch has the mechanism. Example: `python benchmarks/embeddings_for_mechanisms.py`.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import polars as pl
import torch

from phenolake.evaluation import moa_accuracy
from phenolake.features import measure
from phenolake.modeling import cut_crops, split_by, train_network
from phenolake.modeling.networks.named import named_model
from phenolake.profiling import aggregate, apply_recipe
from phenolake.simulation import SimulationPlan, plate_map, simulate_site
from phenolake.simulation.assays import ASSAYS

WELL = ["Metadata_Plate", "Metadata_Well"]
CONTROL = pl.col("Metadata_ControlType") == "negcon"
CROP = 64


def wells_of(plan: SimulationPlan) -> pl.DataFrame:
    """Controls, and the treated wells of the assay's first ten mechanisms, as key columns."""
    compounds = ASSAYS[plan.preset].compounds
    ten = list(dict.fromkeys(compound.mechanism for compound in compounds))[:10]
    return (
        plate_map(plan)
        .filter((pl.col("control") == "negcon") | pl.col("moa").is_in(ten))
        .filter(pl.col("control") != "poscon")
        .select(
            Metadata_Batch="batch",
            Metadata_Plate="plate",
            Metadata_Well="well",
            Metadata_Perturbation="perturbation",
            Metadata_Concentration="concentration",
            Metadata_ControlType="control",
            Metadata_MOA="moa",
        )
    )


def cells_of(plan: SimulationPlan, wells: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray]:
    """Features and crops, at half the resolution, of every cell; channels scaled by plate."""
    channels = ASSAYS[plan.preset].channels
    frames, crops = [], []
    for (plate,), rows in wells.group_by(["Metadata_Plate"], maintain_order=True):
        sites = [
            (well, site, simulate_site(plan, plate, well, site))
            for well in rows["Metadata_Well"]
            for site in range(1, plan.sites + 1)
        ]
        white = 2 * np.median([np.percentile(s.image, 99, axis=(1, 2)) for *_, s in sites], axis=0)
        for well, _, site in sites:
            if site.table.is_empty():
                continue
            masks = {"Nuclei": site.nuclei, "Cells": site.cells}
            frames.append(
                measure(site.image, channels, masks, families="standard")
                .drop("Metadata_ObjectNumber")
                .with_columns(Metadata_Plate=pl.lit(plate), Metadata_Well=pl.lit(well))
            )
            scaled = np.clip(site.image / white[:, None, None], 0, 1).astype(np.float32)
            pixels = cut_crops(scaled, site.nuclei, CROP).pixels
            half = pixels.reshape(*pixels.shape[:2], CROP // 2, 2, CROP // 2, 2)
            crops.append(half.mean(axis=(3, 5)).astype(np.uint8))
    return pl.concat(frames, how="diagonal"), np.concatenate(crops)


def accuracies(profiles: pl.DataFrame, wells: pl.DataFrame) -> dict[str, float]:
    """NSC and NSCB of treated wells, as aggregated and after the recipe."""
    whole = wells.join(profiles, on=WELL, how="inner")
    after = apply_recipe(whole, "moa_default", reference=CONTROL, batch="Metadata_Batch")
    found = {}
    for step, rows in (("as aggregated", whole), ("after moa_default", after)):
        treated = rows.filter(~CONTROL)
        for scheme in ("NSC", "NSCB"):
            found[f"{scheme} {step}"] = moa_accuracy(treated, scheme=scheme).accuracy
    return found


def one_screen(seed: int, arguments: argparse.Namespace) -> list[dict[str, object]]:
    plan = SimulationPlan(
        plates=arguments.batches,
        batches=arguments.batches,
        sites=arguments.sites,
        size=384,
        seed=seed,
        shuffle_layout=True,
    )
    wells = wells_of(plan)
    started = time.process_time()
    cells, crops = cells_of(plan, wells)
    print(f"seed {seed}: {len(cells)} cells, {time.process_time() - started:.0f} CPU s", flush=True)
    features = aggregate(cells, WELL, "median")
    keys = cells.select(WELL).join(wells, on=WELL, how="left", maintain_order="left")
    labels = keys["Metadata_Perturbation"].fill_null("control").to_list()
    split = split_by(keys, "Metadata_Well", seed=seed, labels=labels)
    results = [{"seed": seed, "profiles": "measured features", **accuracies(features, wells)}]
    for name in arguments.models:
        started = time.process_time()
        layout, recipe = named_model(name, len(set(labels)), crops.shape[1], crops.shape[2])
        if name == "resnet18":
            layout = type(layout)(layout.classes, layout.channels, layout.size, width=16)
        model = train_network(
            crops, labels, split, model=layout, recipe=recipe, epochs=arguments.epochs,
            seed=seed, class_balanced=True, learning_rate=1e-3, device="cpu",
        )  # fmt: skip
        seconds = time.process_time() - started
        values = model.embed(crops)
        units = {f"Cells_Embedding_{i:03d}": values[:, i] for i in range(values.shape[1])}
        embedded = aggregate(cells.select(WELL).hstack(pl.DataFrame(units)), WELL, "mean")
        results.append(
            {"seed": seed, "profiles": f"embeddings, {name}", **accuracies(embedded, wells)}
        )
        last = model.history[-1]
        print(f"{name}: {seconds:.0f} CPU s, {last['validation_accuracy']:.3f} of held-out cells")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--sites", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--models", nargs="+", default=["cnn2", "resnet18"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = pl.DataFrame([row for seed in arguments.seeds for row in one_screen(seed, arguments)])
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=160, float_precision=3):
        print(rows)


if __name__ == "__main__":
    main()
