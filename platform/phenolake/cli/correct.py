"""`phenolake correct`: profiles of later plates by a screen's fitted recipe; nothing else moves."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import typer

from phenolake.errors import ConfigurationError
from phenolake.identity import PLATE
from phenolake.lake import Lake
from phenolake.settings import Settings
from phenolake.stages.fitted_recipes import correct_later
from phenolake.tables import FITTED_RECIPES


def correct_profiles(
    profiles: Path, out: Path, screen: str, correction: str, version: int | None
) -> int:
    """Write corrected profiles of the wells in a Parquet or CSV file; returns the exit status."""
    if not profiles.is_file():
        raise ConfigurationError(f"{profiles}: no such file")
    if not out.parent.is_dir():
        raise ConfigurationError(f"{out}: the folder {out.parent} does not exist")
    try:
        read = pl.read_csv if profiles.suffix == ".csv" else pl.read_parquet
        wells = read(profiles)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"{profiles}: no table of profiles ({reason})") from error
    if PLATE not in wells.columns:
        raise ConfigurationError(f"{profiles}: no table of profiles (no column {PLATE})")
    lake = Lake(Settings().tables_uri)
    fits = lake.read(FITTED_RECIPES.name, {"Metadata_Screen": screen}, version=version)
    corrected = correct_later(fits, correction, wells)
    corrected.write_parquet(out)
    plates = corrected["Metadata_Plate"].n_unique()
    typer.echo(f"{out}: {corrected.height} wells of {plates} plates, {correction}")
    return 0
