"""Reader for MetaMorph stacks: TIFF files (`.stk`, `.tif`) with UIC tags; the stage label names the well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from phenolake.errors import ImageReadError, WellNameError
from phenolake.identity import Well
from phenolake.images.pixels import FileFacts, read_facts
from phenolake.images.planes import Plane, Problem
from phenolake.images.readers.base import Detection, Reader, image_files, map_files, moment, number
from phenolake.images.readers.unplaced import well_assumed

_LABEL = re.compile(
    r"\s*(?P<well>[A-Za-z]{1,2}\d{1,2})\s*:\s*(?:site|s)?\s*(?P<site>\d{1,4})", re.IGNORECASE
)
_NAME = re.compile(
    r"(?:.*_)?(?P<well>[A-Za-z]{1,2}\d{2})(?:_s(?P<site>\d{1,4}))?(?:_w\w+?)?(?:_t(?P<t>\d{1,6}))?\.(?:stk|tiff?)",
    re.IGNORECASE,
)


class MetaMorph(Reader):
    """Planes of MetaMorph stacks, placed by stage label, else by name, else in well A01."""

    name = "metamorph"

    def detect(self, folder: Path) -> Detection | None:
        """Look for UIC tags in up to 20 files."""
        sample = list(islice(image_files(folder), 20))
        share = sum(facts.is_metamorph for path in sample if (facts := _facts(path))) / max(
            1, len(sample)
        )
        return Detection(self.name, share, "TIFF files with MetaMorph tags") if share else None

    def planes(self, folder: Path) -> Iterator[Plane | Problem]:
        """List the planes of every file."""
        paths = [
            path for path in image_files(folder) if path.suffix.lower() in (".stk", ".tif", ".tiff")
        ]
        unplaced = 0
        for path, facts in zip(paths, map_files(_facts, paths), strict=True):
            try:
                tags = _tags(path) if facts else {}
                at = _place(tags, path)
                if at is None:
                    unplaced += 1
                yield from _planes(path, tags, at or (Well(1, 1), unplaced, 0), facts)
            except (
                WellNameError,
                ImageReadError,
                ValueError,
                TypeError,
                KeyError,
                IndexError,
            ) as error:
                yield Problem(
                    "unreadable_image",
                    "Export the file again, or move it out of the plate's folder.",
                    uri=str(path),
                    expected="a MetaMorph stack",
                    got=getattr(error, "reason", str(error))[:300],
                )
        if unplaced:
            yield well_assumed(folder, unplaced)


def _facts(path: Path) -> FileFacts | None:
    try:
        return read_facts(path).without_description()
    except ImageReadError:
        return None  # the catalogue opens it again and says what is wrong


def _tags(path: Path) -> dict[str, Any]:
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            return dict(tiff.stk_metadata or {})
    except Exception as error:  # damaged tags raise almost anything
        raise ImageReadError(str(path), f"its MetaMorph tags can't be read: {error}") from error


def _place(tags: dict[str, Any], path: Path) -> tuple[Well, int, int] | None:
    labels = tags.get("StageLabel") or [""]
    match = _LABEL.match(str(labels[0])) or _NAME.fullmatch(path.name)
    if match is None:
        return None
    found = match.groupdict()
    return (
        Well.parse(match["well"]),
        int(found.get("site") or 1),
        max(0, int(found.get("t") or 1) - 1),
    )


def _planes(
    path: Path, tags: dict[str, Any], place: tuple[Well, int, int], facts: FileFacts | None
) -> Iterator[Plane]:
    well, site, t = place
    count = facts.header.pages if facts else 1
    z = [float(value) for value in tags.get("AbsoluteZ", [])]
    properties = {str(p.get("name")): p.get("value") for p in tags.get("PlaneProperty") or []}
    stage = tags.get("StagePosition")
    is_calibrated = tags.get("SpatialCalibration") and tags.get("CalibrationUnits") == "um"
    created = tags.get("CreateTime")
    # Planes at one height are a time series.
    in_time = count > 1 and len({round(value, 2) for value in z}) == 1
    for index in range(count):
        here = stage[index] if stage is not None and index < len(stage) else None
        yield Plane(
            path,
            well,
            site,
            str(properties.get("_IllumSetting_") or tags.get("Name") or "1").strip(),
            0 if in_time else index,
            index if in_time else t,
            index,
            pixel_size_um=number(str(tags.get("XCalibration"))) if is_calibrated else None,
            acquired_at=moment(created.isoformat()) if created is not None else None,
            instrument="MetaMorph",
            emission_nm=number(str(tags.get("wavelength"))) or None,
            stage_x_um=number(str(here[0])) if here is not None else None,
            stage_y_um=number(str(here[1])) if here is not None else None,
            stage_z_um=z[index] if index < len(z) else None,
            facts=facts,
        )
