"""Reader for ImageXpress (MetaXpress) plates: exported folders with an `.HTD`, and database folders.

Folders `TimePoint_n` and `ZStep_n` give t and z; projections lie in `ZStep_0` or beside `ZStep_1`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from phenolake.errors import ImageReadError, WellNameError
from phenolake.identity import Well
from phenolake.images.pixels import FileFacts, read_facts
from phenolake.images.planes import PROJECTION_Z, Plane, Problem
from phenolake.images.readers.base import Detection, Reader, image_files, map_files, number
from phenolake.images.readers.htd import PlateDescription, description_file, read_description
from phenolake.images.readers.metaseries import (
    acquired_at,
    exposure_ms,
    pixel_size_um,
    plane_properties,
)

_NAME = re.compile(
    r"(?P<plate>.*?)_(?P<well>[A-Za-z]{1,2}\d{2})(?:_s(?P<site>\d{1,4}?))?(?:_w(?P<wave>\d{1,2}?))?"
    r"(?P<thumb>_thumb)?(?P<guid>[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12})?\.(?i:tiff?)"
)
#: Most z steps that a projection is believed to have been made from.
MAX_STEPS = 10_000
_FOLDER = re.compile(r"(TimePoint|ZStep)_(\d{1,6})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Named:
    """What a file's path says; `z_folder` is None outside `ZStep` folders."""

    path: Path
    well: Well
    site: int
    wave: int
    t: int
    z_folder: int | None

    @property
    def stack(self) -> tuple[Well, int, int, int]:
        """Key of the stack or projection this plane belongs to."""
        return self.well, self.site, self.wave, self.t


class ImageXpress(Reader):
    """Planes by folder and file names, with the facts that MetaXpress keeps in each TIFF.

    Thumbnails are left out. A projection made by the instrument has z = -1 where a stack can lie
    beside it; planes that the `.HTD` orders and that are not there are problems.
    """

    name = "imagexpress"

    def detect(self, folder: Path) -> Detection | None:
        """Look for an `.HTD` file, or for MetaXpress names with MetaXpress descriptions."""
        sample = list(islice(image_files(folder), 200))
        share = sum(_NAME.fullmatch(path.name) is not None for path in sample) / max(1, len(sample))
        htd = _description_path(folder)
        if htd is not None and share > 0:
            return Detection(self.name, share, f"MetaXpress plate description {htd.name}")
        named = next((path for path in sample if _NAME.fullmatch(path.name)), None)
        if named is None or not _properties_of(named):
            return None
        return Detection(self.name, share, "MetaXpress file names and image descriptions")

    def plate_wells(self, folder: Path) -> int | None:
        """Wells by the `.HTD` file."""
        described = _description(folder)
        return described.plate_wells if described else None

    def planes(self, folder: Path) -> Iterator[Plane | Problem]:
        """List the planes, then what the plate description orders and the folder lacks."""
        described = _description(folder)
        named: list[_Named] = []
        for path in image_files(folder):
            item = _named(path, path.relative_to(folder))
            if isinstance(item, Problem):
                yield item
            elif item is not None:
                named.append(item)
        stacks = {item.stack for item in named if item.z_folder is not None}
        waves = dict(described.waves) if described else {}
        promised: dict[tuple[Well, int, int, int], int] = {}
        for item, facts in zip(named, map_files(_facts, (n.path for n in named)), strict=True):
            properties = plane_properties(facts.description) if facts else {}
            setting = properties.get("_IllumSetting_") or properties.get("image-name")
            channel = waves.setdefault(item.wave, setting or f"w{item.wave}")
            yield _plane(item, facts, properties, channel, has_stack=item.stack in stacks)
            thickness, step = (
                number(properties.get("Z Thickness")),
                number(properties.get("Z Projection Step Size")),
            )
            if (
                properties.get("Z Projection Method")
                and thickness
                and step
                and thickness / step < MAX_STEPS
            ):
                promised[item.stack] = round(thickness / step) + 1
        if described is None:
            yield from _cut_stacks(named, promised, waves)
        else:
            yield from _missing(described, named, folder)


def _description_path(folder: Path) -> Path | None:
    places = [folder, *(folder / part for part in ("TimePoint_1", "ZStep_1"))]
    return next((found for place in places if (found := description_file(place))), None)


def _description(folder: Path) -> PlateDescription | None:
    path = _description_path(folder)
    return read_description(path) if path else None


def _properties_of(path: Path) -> dict[str, str]:
    facts = _facts(path)
    return plane_properties(facts.description) if facts else {}


def _facts(path: Path) -> FileFacts | None:
    try:
        return read_facts(path)
    except ImageReadError:
        return None  # the catalogue opens it again and says what is wrong


def _named(path: Path, relative: Path) -> _Named | Problem | None:
    """Where a file's path puts it; None for a thumbnail."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return Problem(
            "unknown_file_name",
            "Move it out of the plate's folder, or give a `pattern` in screen.yaml.",
            uri=str(path),
            expected="a MetaXpress name such as Plate_B03_s1_w1.TIF",
            got=path.name,
        )
    if match["thumb"]:
        return None
    at = {
        name.casefold(): int(count)
        for name, count in _FOLDER.findall("/".join(relative.parts[:-1]))
    }
    try:
        well = Well.parse(match["well"])
    except WellNameError as error:
        return Problem(
            "well_outside_plate",
            "Correct the file name.",
            uri=str(path),
            well=match["well"],
            expected="a well of the plate",
            got=str(error),
        )
    site, wave = int(match["site"] or 1), int(match["wave"] or 1)
    return _Named(path, well, site, wave, max(0, at.get("timepoint", 1) - 1), at.get("zstep"))


def _plane(
    item: _Named,
    facts: FileFacts | None,
    properties: dict[str, str],
    channel: str,
    *,
    has_stack: bool,
) -> Plane:
    projection = properties.get("Z Projection Method", "").strip().casefold() or None
    beside_a_stack = PROJECTION_Z if projection or has_stack else 0
    z = beside_a_stack if item.z_folder is None else item.z_folder - 1  # ZStep_0 holds projections
    if projection is None and z == PROJECTION_Z and not properties:
        projection = "unknown"  # the place says so, the method is not recorded
    serial = properties.get("Instrument Serial Number")
    return Plane(
        item.path,
        item.well,
        item.site,
        channel,
        z,
        item.t,
        pixel_size_um=pixel_size_um(properties),
        acquired_at=acquired_at(properties),
        instrument=f"ImageXpress {serial}" if serial else "ImageXpress",
        emission_nm=number(properties.get("wavelength")),
        exposure_ms=exposure_ms(properties),
        stage_x_um=number(properties.get("stage-position-x")),
        stage_y_um=number(properties.get("stage-position-y")),
        stage_z_um=number(properties.get("z-position")),
        z_step_um=number(properties.get("Z Projection Step Size")),
        projection=projection,
        facts=facts and facts.without_description(),
    )


def _cut_stacks(
    named: list[_Named], promised: dict[tuple[Well, int, int, int], int], waves: dict[int, str]
) -> Iterator[Problem]:
    """Stacks with fewer planes than the projection beside them was made from."""
    present = Counter(item.stack for item in named if item.z_folder)
    for stack, expected in sorted(promised.items()):
        well, site, wave, t = stack
        if 0 < present[stack] < expected:
            yield Problem(
                "missing_plane",
                "Copy the plate again; what is there is used.",
                well=well.name,
                site=site,
                channel=waves.get(wave),
                expected=f"{expected} planes at time point {t}, as the projection's thickness and step say",
                got=f"{present[stack]}, {expected - present[stack]} missing",
            )


def _missing(described: PlateDescription, named: list[_Named], folder: Path) -> Iterator[Problem]:
    """One problem per well, site and wave that lacks planes which the description orders."""
    has_z_folders = any(item.z_folder is not None for item in named)
    slots: list[int | None] = [None] if not has_z_folders else list(range(1, described.z_steps + 1))
    if has_z_folders and (described.has_projections or any(item.z_folder == 0 for item in named)):
        slots = [0, *slots]
    expected = len(slots) * described.time_points
    wanted = set(slots)
    present = Counter(
        (item.well, item.site, item.wave)
        for item in named
        if item.z_folder in wanted and item.t < described.time_points
    )
    for well in described.wells:
        for site in range(1, described.sites + 1):
            for wave, name in described.waves.items():
                found = present[well, site, wave]
                if found < expected:
                    yield Problem(
                        "missing_plane",
                        "Copy or export the plate again; what is there is used.",
                        uri=str(folder),
                        well=well.name,
                        site=site,
                        channel=name,
                        expected=f"{expected} planes by the plate description",
                        got=f"{found}, {expected - found} missing",
                    )
