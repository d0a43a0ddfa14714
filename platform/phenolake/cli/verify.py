"""`phenolake verify`: image files against the catalogue, one line for each difference."""

from __future__ import annotations

import typer

from phenolake.errors import ConfigurationError
from phenolake.images.verification import differences
from phenolake.lake import Lake
from phenolake.settings import Settings


def verify_files(screen: str | None, plate: str | None, *, sizes_only: bool = False) -> int:
    """Print what differs; returns 1 if anything does."""
    if plate is not None and screen is None:
        raise ConfigurationError(
            "--plate needs --screen: plate names are unique within a screen only"
        )
    where = {"Metadata_Screen": screen} if screen else {}
    if plate:
        where["Metadata_Plate"] = plate
    columns = ["Metadata_Screen", "Metadata_Plate", "uri", "bytes", "checksum", "origin"]
    catalog = Lake(Settings().tables_uri).read("raw_image_catalog", where or None, columns=columns)
    if catalog.is_empty():
        raise ConfigurationError(f"the catalogue has no plane of {where or 'any screen'}")
    count = 0
    for found in differences(catalog, sizes_only=sizes_only):
        count += 1
        typer.secho(found.sentence(), fg="red")
    files = catalog["uri"].n_unique()
    typer.echo(f"{files:,} files checked, {count:,} differ from the catalogue")
    return int(count > 0)
