"""`phenolake inspect`: what a folder holds, which reader and preset fit, and what is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import typer
import yaml

from phenolake.errors import EmptyFolderError, PhenolakeError
from phenolake.identity import PLATE_FORMATS, Well, smallest_format
from phenolake.images.catalog import Catalog, catalogue_plate
from phenolake.images.planes import PROJECTION_Z, Problem
from phenolake.images.readers import detect_reader
from phenolake.screens.discover import SCREEN_FILE, Plate, Screen
from phenolake.screens.proposal import propose
from phenolake.settings import Settings

#: More problems than these are counted, not listed.
LISTED = 10


def inspect_folder(folder: Path, config: Path | None = None) -> int:
    """Print what is there and a `screen.yaml` to start from; returns 1 when something is wrong."""
    links = Settings().linked_paths
    screen = replace(Screen.open(folder, config), linked_folders=links)
    for refused in screen.refused_links().values():
        typer.secho(str(refused), fg="yellow", err=True)
    plates = screen.plates()
    if not plates:
        raise EmptyFolderError(
            screen.folder, "TIFF and PNG files, Zarr stores and microscope indexes"
        )
    described = config is not None or (screen.folder / SCREEN_FILE).exists()
    detection = detect_reader(plates[0].folder, screen.config.pattern)
    proposal = screen.config if described else propose(screen, plates, detection)
    screen = replace(screen, config=proposal)
    is_mixed = not described and proposal.reader is None
    typer.echo(f"{screen.folder}: {len(plates)} plate(s)")
    typer.echo(f"  reader    {proposal.reader or detection.reader} ({detection.reason})")
    typer.echo(f"  preset    {proposal.preset}: {proposal.assay.description}")
    wrong = sum(_describe(screen, plate, alone=is_mixed) for plate in plates)
    if is_mixed:
        typer.echo(
            "\nThe plates come from different instruments: make each kind a screen of its own."
        )
    elif not described:
        typer.echo(f"\nA {SCREEN_FILE} to start from:\n")
        text = yaml.safe_dump(
            proposal.model_dump(exclude_defaults=True), sort_keys=False, allow_unicode=True
        )
        typer.echo(text)
    return int(wrong > 0)


@dataclass(frozen=True)
class PlateFacts:
    """What is known of a plate: the table that `inspect` prints."""

    reader: str
    plate_wells: int
    wells: tuple[str, ...]
    sites: int
    channels: tuple[str, ...]
    z: int
    t: int
    projections: int
    height: int
    width: int
    dtype: str
    pixel_size_um: float | None
    planes: int
    missing: int

    def sentence(self) -> str:
        """The facts as one line."""
        shown = ", ".join(self.wells[:6]) + (", ..." if len(self.wells) > 6 else "")
        size = f"{self.pixel_size_um:.5g} um/pixel" if self.pixel_size_um else "pixel size unknown"
        extra = f", {self.projections} of them projections" if self.projections else ""
        lacking = f", {self.missing} missing" if self.missing else ""
        return (
            f"{self.plate_wells}-well plate, {len(self.wells)} wells ({shown}), {self.sites} sites, "
            f"channels {', '.join(self.channels)}, {self.z} z, {self.t} t, "
            f"{self.height} x {self.width} {self.dtype}, {size}, {self.planes} planes{extra}{lacking}"
        )


def plate_facts(found: Catalog) -> PlateFacts | None:
    """The facts of a catalogued plate; None without a usable plane."""
    rows = found.rows
    if rows.is_empty():
        return None
    wells = [Well.parse(name) for name in rows["Metadata_Well"].unique(maintain_order=True)]
    first = rows.row(0, named=True)
    names = rows.select("channel", "channel_name").unique().sort("channel")
    return PlateFacts(
        found.reader,
        found.plate_wells or likely_format(wells),
        tuple(well.name for well in wells),
        rows.select("Metadata_Well", "Metadata_Site").unique().height,
        tuple(c if c == n else f"{c} ({n})" for c, n in names.iter_rows()),
        max(1, rows.filter(rows["z"] != PROJECTION_Z)["z"].n_unique()),
        rows["t"].n_unique(),
        int((rows["projection"].is_not_null() | (rows["z"] == PROJECTION_Z)).sum()),
        first["height"],
        first["width"],
        first["dtype"],
        rows["pixel_size_um"].drop_nulls().median(),  # type: ignore[arg-type]
        rows.height,
        sum(map(missing_planes, found.problems)),
    )


def likely_format(wells: list[Well]) -> int:
    """The plate format that wells without metadata suggest.

    Plates below 96 wells are believed only when every well of theirs is there.
    """
    smallest = smallest_format(wells)
    full = len(set(wells)) == PLATE_FORMATS[smallest][0] * PLATE_FORMATS[smallest][1]
    return smallest if full else max(96, smallest)


def missing_planes(problem: Problem) -> int:
    """How many planes a problem says are missing."""
    if problem.problem != "missing_plane":
        return 0
    words = (problem.got or "").replace("(", " ").split()
    return next(
        (int(n) for n, word in pairwise(words) if word == "missing" and n.isdecimal()),
        1,
    )


def _describe(screen: Screen, plate: Plate, *, alone: bool) -> int:
    """Print the facts of one plate, with channels of its own if `alone`; returns its problems."""
    try:
        if alone:
            screen = Screen(screen.folder, propose(screen, [plate]))
        found = catalogue_plate(screen, plate, checksum="none")
    except PhenolakeError as error:
        typer.secho(f"  plate {plate.key.plate}: {error}", fg="red")
        return 1
    facts = plate_facts(found)
    reader = "" if facts is None or facts.reader == screen.config.reader else f"{facts.reader}, "
    sentence = f"{reader}{facts.sentence()}" if facts else "no usable plane"
    typer.echo(f"  plate {plate.key.plate}: {sentence}")
    for problem in found.problems[:LISTED]:
        typer.secho(f"    {problem.sentence(plate.key.plate)}", fg="yellow")
    if len(found.problems) > LISTED:
        kinds = Counter(problem.problem for problem in found.problems)
        rest = ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items()))
        typer.secho(f"    in all {len(found.problems)} problems: {rest}", fg="yellow")
    return len(found.problems)


__all__ = ["PlateFacts", "inspect_folder", "likely_format", "missing_planes", "plate_facts"]
