"""`phenolake export`: a table, or a part of it, as one Parquet file."""

from __future__ import annotations

from pathlib import Path

import typer

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.lake import Lake
from phenolake.settings import Settings
from phenolake.tables import TABLES


def export_table(
    table: str, out: Path, screen: str | None, plate: str | None, version: int | None
) -> int:
    """Write rows of a table, feature columns named as in CellProfiler; returns the exit status."""
    if plate is not None and screen is None:
        raise ConfigurationError(
            "--plate needs --screen: plate names are unique within a screen only"
        )
    if not out.parent.is_dir():
        raise ConfigurationError(f"{out}: the folder {out.parent} does not exist")
    where = {"Metadata_Screen": screen} if screen else {}
    if plate:
        where["Metadata_Plate"] = plate
    lake = Lake(Settings().tables_uri)
    if table not in (known := {*TABLES, *(name for _, name in lake.tables())}):
        raise UnknownNameError("table", table, known)
    rows = lake.read(table, where or None, version=version)
    if rows.is_empty():
        typer.secho(
            f"{table}: no rows for {where or 'the whole table'}; the file is empty", err=True
        )
    rows.write_parquet(out)
    typer.echo(f"{out}: {rows.height} rows, {rows.width} columns")
    return 0
