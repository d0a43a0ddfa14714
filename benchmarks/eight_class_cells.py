"""Cells of the eight-class study: simulated, measured, cut out and drawn alike from each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from phenolake.features import measure
from phenolake.modeling import cut_crops
from phenolake.simulation import SimulationPlan, plate_map, simulate_site
from phenolake.simulation.assays import ASSAYS

_DOSES = 2


def study_plan(plates: int, sites: int, seed: int) -> SimulationPlan:
    """Plates of 96 wells with the study's compounds, each plate a batch with a layout of its own."""
    return SimulationPlan(
        "four_channel_cytotoxicity", plates, 96, sites, seed, batches=plates, shuffle_layout=True
    )


def study_cells(
    plan: SimulationPlan, per_class: int, seed: int, folder: Path
) -> tuple[pl.DataFrame, np.ndarray]:
    """Keys, `label` and properties of the drawn cells, and their crops; made once, kept in `folder`."""
    table, pixels = folder / "cells.parquet", folder / "crops.npy"
    if not pixels.exists():
        cells, crops = _all_cells(plan)
        rows = _drawn(cells, per_class, seed)
        cells[rows].write_parquet(table)
        np.save(pixels, crops[rows])
    return pl.read_parquet(table), np.load(pixels)


def _wells_of(plan: SimulationPlan) -> pl.DataFrame:
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


def _all_cells(plan: SimulationPlan) -> tuple[pl.DataFrame, np.ndarray]:
    """Keys, class and properties of all cells of the chosen wells, and their crops."""
    channels = ASSAYS[plan.preset].channels
    frames, crops = [], []
    for plate, well, label in _wells_of(plan).select("plate", "well", "perturbation").iter_rows():
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


def _drawn(cells: pl.DataFrame, per_class: int, seed: int) -> np.ndarray:
    """Rows of as many random cells of each class."""
    rng = np.random.default_rng(seed)
    labels = cells["label"].to_numpy()
    rows = [
        rng.permutation(np.flatnonzero(labels == name))[:per_class] for name in np.unique(labels)
    ]
    return np.sort(np.concatenate(rows))
