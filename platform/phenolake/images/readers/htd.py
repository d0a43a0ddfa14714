"""The MetaXpress plate description `.HTD`: what was to be imaged."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from phenolake.identity import Well
from phenolake.images.readers.base import entries_of, format_of

MAX_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class PlateDescription:
    """Wells, sites, named waves, z steps and time points of a MetaXpress plate."""

    plate_wells: int | None
    wells: tuple[Well, ...]
    sites: int
    waves: dict[int, str]
    z_steps: int
    has_projections: bool
    time_points: int


def description_file(folder: Path) -> Path | None:
    """The `.HTD` file directly in a folder."""
    return next(
        (
            Path(e.path)
            for e in entries_of(folder)
            if e.name.lower().endswith(".htd") and e.is_file(follow_symlinks=False)
        ),
        None,
    )


def read_description(path: Path) -> PlateDescription | None:
    """The description; None if it can't be read or is no `.HTD` file."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES)
    except OSError:
        return None
    lines: dict[str, list[str]] = {}
    try:
        for cells in csv.reader(
            content.decode("utf-8-sig", "replace").splitlines(), skipinitialspace=True
        ):
            if len(cells) > 1:
                lines[cells[0].strip().casefold()] = [cell.strip() for cell in cells[1:]]
    except csv.Error:
        return None
    if not {"xwells", "ywells", "htsinfofile"} & set(lines):
        return None
    columns, rows = _count(lines, "xwells", 48), _count(lines, "ywells", 32)
    wells = [
        Well(row, column)
        for row in range(1, rows + 1)
        for column, cell in enumerate(lines.get(f"wellsselection{row}", [])[:columns], start=1)
        if cell.casefold() == "true"
    ]
    site_rows = _count(lines, "ysites", 64)
    chosen = [cell for y in range(1, site_rows + 1) for cell in lines.get(f"siteselection{y}", [])]
    waves = {
        wave: lines.get(f"wavename{wave}", [str(wave)])[0]
        for wave in range(1, _count(lines, "nwavelengths", 64) + 1)
        if lines.get(f"wavecollect{wave}", ["1"])[0] != "0"
    }
    return PlateDescription(
        format_of(rows, columns),
        tuple(wells),
        max(1, sum(cell.casefold() == "true" for cell in chosen)) if _is_on(lines, "sites") else 1,
        waves,
        _count(lines, "zsteps", 100_000) if _is_on(lines, "zseries") else 1,
        _is_on(lines, "zprojection"),
        max(1, _count(lines, "timepoints", 100_000)),
    )


def _count(lines: dict[str, list[str]], name: str, most: int) -> int:
    text = lines.get(name, ["0"])[0]
    return min(int(text), most) if text.isdecimal() and len(text) < 10 else 0


def _is_on(lines: dict[str, list[str]], name: str) -> bool:
    return lines.get(name, [""])[0].casefold() == "true"
