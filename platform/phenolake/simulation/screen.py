"""Write a simulated screen: images as an instrument would leave them, and the truth beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import yaml

from phenolake.compute import Compute, LocalCompute
from phenolake.errors import ConfigurationError
from phenolake.identity import PLATE, SITE, WELL
from phenolake.simulation.assays import ASSAYS
from phenolake.simulation.layout import Treatment, plate_layout
from phenolake.simulation.plan import SimulationPlan
from phenolake.simulation.site import simulate_site

if TYPE_CHECKING:
    from collections.abc import Iterator

TRUTH = "_truth"
COMPLETE = "_COMPLETE"
PATTERN = r"(?P<well>[A-Z]{1,2}\d{2})_s(?P<site>\d+)_w\d+_(?P<channel>\w+)\.tif"
"""Names of the image files inside a plate's folder, such as `B03_s1_w1_DNA.tif`."""

_Field = tuple[SimulationPlan, Path, str, str, int]


def simulate_screen(
    plan: SimulationPlan,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
    compute: Compute | None = None,
) -> None:
    """Write the whole screen into a folder, one plate after the other.

    The folder gets `screen.yaml`, `platemap.csv`, one folder of TIFF files per plate with a file
    `_COMPLETE` written last, and `_truth`: `wells.csv` (EC50 and response of every well), and per
    plate `cells.parquet`, `sites.csv` and label images `<well>_s<site>_nuclei.tif`, `_cells.tif`.
    Plates that are complete from an earlier call of the same plan are kept.

    Parameters
    ----------
    progress
        Called with (fields done, fields in all) after each field.
    compute
        Maps fields to processes; default: the calling process.

    Raises
    ------
    ConfigurationError
        If the folder holds anything else than this screen.
    """
    _claim(plan, folder)
    (folder / "screen.yaml").write_text(_screen_yaml(plan), encoding="utf-8")
    plate_map(plan).write_csv(folder / "platemap.csv")
    true_wells(plan).write_csv(folder / TRUTH / "wells.csv")
    fields_per_plate = plan.used * plan.sites
    for number, plate in enumerate(plan.plate_names):
        done = number * fields_per_plate
        if not (folder / plate / COMPLETE).exists():
            for count in _write_plate(plan, folder, plate, compute or LocalCompute(workers=1)):
                if progress:
                    progress(done + count, plan.plates * fields_per_plate)
        elif progress:
            progress(done + fields_per_plate, plan.plates * fields_per_plate)


def plate_map(plan: SimulationPlan) -> pl.DataFrame:
    """One row per well of every plate: plate, well, treatment, control type, batch."""
    cell_line = ASSAYS[plan.preset].cell_line
    rows = [
        {
            "plate": plate,
            "well": well.name,
            "perturbation": _perturbation(plan, treatment),
            "concentration": treatment.concentration_um if treatment.compound else None,
            "unit": "uM" if treatment.compound else None,
            "control": treatment.control,
            "moa": treatment.compound.mechanism if treatment.compound else None,
            "batch": plan.batch_name(plate),
            "cell_line": None if treatment.control == "empty" else cell_line,
        }
        for plate in plan.plate_names
        for well, treatment in plate_layout(plan, plate).items()
    ]
    return pl.DataFrame(
        rows, infer_schema_length=None, schema_overrides={"concentration": pl.Float64}
    )


def true_wells(plan: SimulationPlan) -> pl.DataFrame:
    """Return what is true of each well: plate map, the compound's EC50 and slope, response."""
    rows = [
        {
            "ec50_um": treatment.compound.ec50_um if treatment.compound else None,
            "hill_slope": treatment.compound.slope if treatment.compound else None,
            "active": treatment.compound is not None and treatment.compound.ec50_um is not None,
            "response": treatment.response,
        }
        for plate in plan.plate_names
        for treatment in plate_layout(plan, plate).values()
    ]
    schema = {
        "ec50_um": pl.Float64,
        "hill_slope": pl.Float64,
        "active": pl.Boolean,
        "response": pl.Float64,
    }
    return pl.concat([plate_map(plan), pl.DataFrame(rows, schema=schema)], how="horizontal")


def _perturbation(plan: SimulationPlan, treatment: Treatment) -> str | None:
    if treatment.compound:
        return treatment.compound.name
    return None if treatment.control == "empty" else ASSAYS[plan.preset].negative_control


def _claim(plan: SimulationPlan, folder: Path) -> None:
    """Take an empty folder, or one that an earlier call with this plan began."""
    note = folder / TRUTH / "plan.json"
    text = json.dumps(asdict(plan), indent=2) + "\n"
    if (
        folder.exists()
        and any(folder.iterdir())
        and not (note.exists() and note.read_text() == text)
    ):
        raise ConfigurationError(
            f"{folder}: neither empty nor an earlier run of this plan; choose an empty folder"
        )
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(text)


def _screen_yaml(plan: SimulationPlan) -> str:
    assay = ASSAYS[plan.preset]
    columns = (
        "plate",
        "well",
        "perturbation",
        "concentration",
        "unit",
        "control",
        "moa",
        "batch",
        "cell_line",
    )
    config = {
        "name": plan.name,
        "preset": plan.preset,
        "pattern": PATTERN,
        "channels": {name: name for name in assay.channels},
        "pixel_size_um": assay.pixel_size_um,
        "wells": plan.wells,
        "labels": assay.labels,
        "plate_map": {
            "file": "platemap.csv",
            "columns": {name: name for name in columns},
            "negative_control": assay.negative_control,
        },
    }
    lines = [
        f"{key}: {yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False)}"
        for key, value in config.items()
    ]
    return "".join(line.removesuffix("...\n") for line in lines)


def _write_plate(plan: SimulationPlan, folder: Path, plate: str, compute: Compute) -> Iterator[int]:
    """Write one plate, its truth first and `_COMPLETE` last; yields the fields done."""
    images, truth = folder / plate, folder / TRUTH / plate
    images.mkdir(exist_ok=True)
    truth.mkdir(exist_ok=True)
    fields: list[_Field] = [
        (plan, folder, plate, well.name, site)
        for well in plate_layout(plan, plate)
        for site in range(1, plan.sites + 1)
    ]
    tables, sites = [], []
    for count, (table, facts) in enumerate(compute.map(_write_field, fields), start=1):
        tables.append(table)
        sites.append(facts)
        yield count
    pl.concat(tables).write_parquet(truth / "cells.parquet")
    pl.DataFrame(sites).write_csv(truth / "sites.csv")
    (images / COMPLETE).touch()


def _write_field(field: _Field) -> tuple[pl.DataFrame, dict[str, object]]:
    plan, folder, plate, well, site = field
    simulated = simulate_site(plan, plate, well, site)
    assay = ASSAYS[plan.preset]
    truth = folder / TRUTH / plate / f"{well}_s{site}"
    for name, labels in (("nuclei", simulated.nuclei), ("cells", simulated.cells)):
        _write_tiff(
            truth.with_name(f"{truth.name}_{name}.tif"), labels.astype(np.uint16), None, "zstd"
        )
    for number, (channel, plane) in enumerate(
        zip(assay.channels, simulated.image, strict=True), start=1
    ):
        path = folder / plate / f"{well}_s{site}_w{number}_{channel}.tif"
        _write_tiff(path, plane, assay.pixel_size_um)
    facts = {
        PLATE: plate,
        WELL: well,
        SITE: site,
        "cells": simulated.table.height,
        "in_focus": simulated.in_focus,
        "dirt": simulated.dirt,
    }
    return simulated.table, facts


def _write_tiff(
    path: Path, image: np.ndarray, pixel_size_um: float | None, compression: str | None = None
) -> None:
    """Write one plane; images stay uncompressed, as camera noise hardly shrinks."""
    from tifffile import imwrite

    scale = (
        {}
        if pixel_size_um is None
        else {
            "resolution": (1e4 / pixel_size_um,) * 2,
            "resolutionunit": "CENTIMETER",
        }
    )
    imwrite(path, image, compression=compression, metadata=None, software="phenolake", **scale)
