"""`phenolake demo`: simulate a small screen, run everything on it, show what came out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import typer

from phenolake.cli.ingest import ingest_screen
from phenolake.lake import Lake
from phenolake.settings import Settings
from phenolake.simulation import SimulationPlan, simulate_screen

PLAN = SimulationPlan(
    preset="cell_painting",
    plates=2,
    wells=96,
    wells_used=48,
    batches=2,
    sites=1,
    seed=7,
    name="demo",
)


def run_demo(folder: Path | None) -> int:
    """Returns 0 when every table was made."""
    started = time.monotonic()
    settings = Settings()
    folder = folder or settings.inbox_path / PLAN.name
    if not (folder / "screen.yaml").exists():
        typer.echo(f"simulating {PLAN.plates} plates of {PLAN.wells_used} wells in {folder}")
        simulate_screen(PLAN, folder)
    status = ingest_screen(folder, force=True)
    lake = Lake(settings.tables_uri)
    typer.echo("\nTables of the lake:")
    for layer, name in lake.tables():
        rows = lake.table(name).select(pl.len()).collect().item()
        typer.echo(f"  {layer}.{name:<26} {rows:>9,} rows")
    typer.echo(f"\n{_result(lake)}")
    typer.echo(
        f"\nThe lake is at {settings.tables_uri} ({time.monotonic() - started:.0f} s). Next:"
    )
    prefix = (
        "phenolake"
        if settings.home == Settings.model_fields["home"].default
        else f"PHENOLAKE_HOME={settings.home} phenolake"
    )
    typer.echo(f'  {prefix} sql "select * from marts.hits where is_hit order by q_value limit 10"')
    typer.echo(f"  {prefix} ui")
    typer.echo(f"  {prefix} inspect YOUR_FOLDER")
    return status


def _result(lake: Lake) -> str:
    """One biological finding: which treatments kill cells, and how well mechanisms are recognised."""
    wells = lake.read("well_profiles", {"Metadata_Screen": PLAN.name})
    controls = wells.filter(pl.col("Metadata_ControlType") == "negcon")["Metadata_CellCount"]
    treated = (
        wells.filter(pl.col("Metadata_ControlType") == "trt")
        .group_by(
            "Metadata_Perturbation",
            "Metadata_Concentration",
            "Metadata_ConcentrationUnit",
            "Metadata_MOA",
        )
        .agg(pl.col("Metadata_CellCount").median().alias("cells"))
        .sort("cells")
    )
    if treated.is_empty() or controls.is_empty():
        return "No treated well has cells."
    top: dict[str, Any] = treated.row(0, named=True)
    usual = float(np.median(controls.to_numpy()))
    lost = 100 * (1 - top["cells"] / usual)
    return (
        f"Most toxic: {top['Metadata_Perturbation']} ({top['Metadata_MOA']}) at "
        f"{top['Metadata_Concentration']:g} {top['Metadata_ConcentrationUnit']} leaves {lost:.0f} % fewer cells "
        f"than the negative controls ({top['cells']:.0f} against {usual:.0f} per well)."
    )
