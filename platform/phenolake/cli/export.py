"""`phenolake export`, `export-images` and `bundle`: parts of the lake for other programs."""

from __future__ import annotations

from pathlib import Path

import typer

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.exporting.tables import write_table
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
    table = table.rpartition(".")[2]  # also with its schema, as in SQL
    if table not in (known := {*TABLES, *(name for _, name in lake.tables())}):
        raise UnknownNameError("table", table, known)
    rows = lake.read(table, where or None, version=version)
    if rows.is_empty():
        typer.secho(
            f"{table}: no rows for {where or 'the whole table'}; the file is empty", err=True
        )
    held = lake.version(table) if version is None else version
    write_table(rows, out, {"table": table, "version": str(held)})
    typer.echo(f"{out}: {rows.height} rows, {rows.width} columns")
    return 0


def export_images(screen: str, plate: str, out: Path, kind: str, wells: list[str]) -> int:
    """Write a plate's images and masks in one of the formats; returns the exit status."""
    from phenolake.exporting.files import write_rois, write_tiffs
    from phenolake.exporting.ome_zarr_plate import write_ome_zarr
    from phenolake.exporting.sites import sites_of

    sites = sites_of(Lake(Settings().tables_uri), screen, plate, wells or None)
    if kind == "ome-zarr":
        count = write_ome_zarr(sites, out, plate)
    elif kind == "tiff":
        count = write_tiffs(sites, out)
    else:
        count = write_rois(sites, out)
    typer.echo(f"{out}: {count} sites as {kind}")
    return 0


def export_bundle(screen: str, out: Path, licence: str, *, cells: bool) -> int:
    """Write a screen's tables with manifest and checksums; returns the exit status."""
    from phenolake.exporting.bundle import write_bundle

    files = write_bundle(Lake(Settings().tables_uri), screen, out, licence, cells)
    typer.echo(f"{out}: {len(files)} files, {sum(f.stat().st_size for f in files):,} bytes")
    return 0


def open_in_napari(screen: str, plate: str, well: str) -> int:
    """Show the sites of a well with their masks in napari; returns the exit status."""
    from phenolake.errors import LibraryMissingError
    from phenolake.exporting.napari_layers import add_sites
    from phenolake.exporting.sites import sites_of

    try:
        import napari
        import qtpy.QtWidgets  # noqa: F401  (napari without a Qt has no window)
    except ImportError as error:
        raise LibraryMissingError("napari[all]", "opening a well in napari") from error
    sites = list(sites_of(Lake(Settings().tables_uri), screen, plate, [well]))
    add_sites(napari.Viewer(title=f"{plate} {well}"), sites)
    napari.run()
    return 0
