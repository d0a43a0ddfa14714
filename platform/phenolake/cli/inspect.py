"""`phenolake inspect`: what a folder holds, which reader and preset fit, and what is wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import typer
import yaml

from phenolake.errors import EmptyFolderError, PhenolakeError
from phenolake.identity import Well, smallest_format
from phenolake.images.catalog import Catalog, catalogue_plate, role_of
from phenolake.images.planes import Plane
from phenolake.images.readers import Detection, detect_reader, reader_named
from phenolake.screens.config import ScreenConfig
from phenolake.screens.discover import SCREEN_FILE, Plate, Screen
from phenolake.screens.presets import PRESETS

#: More problems than these are counted, not listed.
LISTED = 10


def inspect_folder(folder: Path, config: Path | None = None) -> int:
    """Print what is there and a `screen.yaml` to start from; returns 1 when something is wrong."""
    screen = Screen.open(folder, config)
    plates = screen.plates()
    if not plates:
        raise EmptyFolderError(screen.folder, "TIFF and PNG files")
    detection = detect_reader(plates[0].folder, screen.config.pattern)
    described = config is not None or (screen.folder / SCREEN_FILE).exists()
    proposal = screen.config if described else _propose(screen, plates, detection)
    screen = Screen(screen.folder, proposal)
    typer.echo(f"{screen.folder}: {len(plates)} plate(s)")
    typer.echo(f"  reader    {proposal.reader or detection.reader} ({detection.reason})")
    typer.echo(f"  preset    {proposal.preset}: {proposal.assay.description}")
    wrong = sum(_describe(screen, plate) for plate in plates)
    if not described:
        typer.echo(f"\nA {SCREEN_FILE} to start from:\n")
        text = yaml.safe_dump(
            proposal.model_dump(exclude_defaults=True), sort_keys=False, allow_unicode=True
        )
        typer.echo(text)
    return int(wrong > 0)


def _describe(screen: Screen, plate: Plate) -> int:
    """Print the facts of one plate; returns the number of problems."""
    try:
        found = catalogue_plate(screen, plate)
    except PhenolakeError as error:
        typer.secho(f"  plate {plate.key.plate}: {error}", fg="red")
        return 1
    typer.echo(f"  plate {plate.key.plate}: {_facts(found)}")
    for problem in found.problems[:LISTED]:
        typer.secho(f"    {problem.sentence(plate.key.plate)}", fg="yellow")
    if len(found.problems) > LISTED:
        kinds = Counter(problem.problem for problem in found.problems)
        rest = ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items()))
        typer.secho(f"    in all {len(found.problems)} problems: {rest}", fg="yellow")
    return len(found.problems)


def _facts(found: Catalog) -> str:
    rows = found.rows
    if rows.is_empty():
        return "no usable plane"
    wells = [Well.parse(name) for name in rows["Metadata_Well"].unique()]
    sites = rows.select("Metadata_Well", "Metadata_Site").unique().height
    first = rows.row(0, named=True)
    size = (
        f", {first['pixel_size_um']:g} um/pixel"
        if first["pixel_size_um"]
        else ", pixel size unknown"
    )
    depth = rows["z"].n_unique(), rows["t"].n_unique()
    return (
        f"{smallest_format(wells)}-well format, {len(wells)} wells, {sites} sites, "
        f"channels {', '.join(rows['channel'].unique().sort())}, {depth[0]} z, {depth[1]} t, "
        f"{first['height']} x {first['width']} {first['dtype']}{size}, {rows.height} planes"
    )


def _propose(screen: Screen, plates: list[Plate], detection: Detection) -> ScreenConfig:
    """A configuration whose preset recognises the most channels; others are mapped to their own name."""
    reader = reader_named(detection.reader, screen.config.pattern)
    acquired = sorted({p.channel for p in reader.planes(plates[0].folder) if isinstance(p, Plane)})
    values: dict[str, object] = {"name": screen.config.name, "reader": detection.reader}
    if len(plates) == 1 and plates[0].folder == screen.folder:
        values["images"] = "."
    candidates = [ScreenConfig(**{**values, "preset": name}) for name in PRESETS]

    def recognised(config: ScreenConfig) -> tuple[int, int]:
        roles = {role_of(channel, config) for channel in acquired} - {None}
        return len(roles), -len(config.roles)

    best = max(candidates, key=recognised)
    roles = {channel: role_of(channel, best) for channel in acquired}
    if set(roles.values()) == set(best.roles):
        return best
    # Unnamed channels: taken in order, to be corrected by whoever knows the stains.
    preset = next((p for p in PRESETS.values() if len(p.roles) == len(acquired)), None)
    if preset is None or any(roles.values()):
        mapped = {channel: role or _plain(channel) for channel, role in roles.items()}
        nuclei = best.assay.nuclei_channel
        values |= {"preset": best.preset, "channels": mapped}
        if nuclei not in mapped.values():
            values["nuclei_channel"] = next(iter(mapped.values()))
        return ScreenConfig(**values)  # type: ignore[arg-type]
    mapped = dict(zip(acquired, preset.roles, strict=True))
    return ScreenConfig(**{**values, "preset": preset.name, "channels": mapped})  # type: ignore[arg-type]


def _plain(channel: str) -> str:
    return f"Channel{channel}" if channel.isdigit() else "".join(c for c in channel if c.isalnum())
