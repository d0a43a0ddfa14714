"""`phenolake simulate`: write a synthetic screen, with a progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from phenolake.errors import ConfigurationError
from phenolake.identity import checked_name
from phenolake.simulation import SimulationPlan, simulate_screen


def simulate_folder(
    folder: Path,
    preset: Literal["cell_painting", "four_channel_cytotoxicity"],
    plates: int,
    wells: int,
    wells_used: int | None,
    sites: int,
    size: int,
    seed: int,
) -> int:
    """Write a screen named after its folder; returns the exit status."""
    folder = folder.expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is not an empty folder; nothing was written")
    plan = SimulationPlan(
        preset=preset,
        plates=plates,
        wells=wells,
        wells_used=wells_used,
        sites=sites,
        size=size,
        seed=seed,
        name=checked_name("screen", folder.resolve().name),
    )
    simulate_screen(plan, folder)
    typer.echo(f"wrote screen {plan.name!r} to {folder}; next: phenolake ingest {folder}")
    return 0
