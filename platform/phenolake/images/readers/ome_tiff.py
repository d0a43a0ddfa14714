"""Reader for OME-TIFF files: planes, channel names and pixel size from the OME-XML header.

The well comes from the OME plate element, or from the file's name where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from xml.etree.ElementTree import Element

from phenolake.errors import ImageReadError, WellNameError
from phenolake.identity import Well
from phenolake.images.planes import Plane, Problem
from phenolake.images.readers.base import Detection, image_files

_NAME_WELL = re.compile(r"(?:^|[_\-. /])([A-Za-z]{1,2}\d{1,2})(?=[_\-. ])")
_NAME_SITE = re.compile(r"[_\-. ](?:s|f|site|field)_?(\d+)(?=[_\-. ])", re.IGNORECASE)
_TO_UM = {"µm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3}


class OmeTiff:
    """Planes of OME-TIFF files; each file describes its own pages."""

    name = "ome_tiff"

    def detect(self, folder: Path) -> Detection | None:
        """Look for OME-XML in up to 20 files."""
        sample = list(islice((p for p in image_files(folder) if p.suffix.lower() != ".png"), 20))
        if not sample:
            return None
        share = sum(ome_xml(path) is not None for path in sample) / len(sample)
        if share == 0:
            return None
        return Detection(self.name, share, "files carry OME-XML")

    def planes(self, folder: Path) -> Iterator[Plane | Problem]:
        """List the planes of every file; a file that can't be placed on the plate is a problem."""
        for path in image_files(folder):
            yield from self._planes_of_file(path, path.relative_to(folder).as_posix())

    def _planes_of_file(self, path: Path, name: str) -> Iterator[Plane | Problem]:
        try:
            root = ome_xml(path)
            if root is None:
                raise ImageReadError(str(path), "no OME-XML in the file")
            yield from _planes(path, name, root)
        except (ImageReadError, WellNameError, ValueError, KeyError, StopIteration) as error:
            reason = error.reason if isinstance(error, ImageReadError) else str(error)
            yield Problem(
                "unreadable_image",
                "Export the file again, or move it out of the plate's folder.",
                uri=str(path),
                expected="OME-TIFF with a well",
                got=reason,
            )


def ome_xml(path: Path) -> Element | None:
    """The root of a file's OME-XML, or None where there is none or it can't be parsed."""
    import tifffile
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        with tifffile.TiffFile(path) as tiff:
            text = tiff.ome_metadata
        return fromstring(text) if text else None
    except (ParseError, DefusedXmlException, ValueError, OSError, tifffile.TiffFileError):
        return None


@dataclass(frozen=True)
class _Place:
    well: Well
    site: int


def _planes(path: Path, name: str, root: Element) -> Iterator[Plane]:
    image = next(e for e in root.iter() if _tag(e) == "Image")
    pixels = next(e for e in image.iter() if _tag(e) == "Pixels")
    place = _place(root, image, name)
    sizes = {axis: int(pixels.get(f"Size{axis}", "1")) for axis in "ZCT"}
    names = [
        channel.get("Name") or str(number)
        for number, channel in enumerate(e for e in pixels if _tag(e) == "Channel")
    ]
    names += [str(number) for number in range(len(names), sizes["C"])]
    date = next((e.text for e in image if _tag(e) == "AcquisitionDate"), None)
    # DimensionOrder XYZCT: Z changes fastest, T slowest.
    fastest_first = pixels.get("DimensionOrder", "XYZCT")[2:]
    for index in range(sizes["Z"] * sizes["C"] * sizes["T"]):
        rest, at = index, {}
        for axis in fastest_first:
            rest, at[axis] = divmod(rest, sizes[axis])
        yield Plane(
            path,
            place.well,
            place.site,
            channel=names[at["C"]],
            z=at["Z"],
            t=at["T"],
            index_in_file=index,
            pixel_size_um=_pixel_size(pixels),
            acquired_at=datetime.fromisoformat(date) if date else None,
            instrument=next((e.get("Model") for e in root.iter() if _tag(e) == "Microscope"), None),
        )


def _place(root: Element, image: Element, name: str) -> _Place:
    for well in (e for e in root.iter() if _tag(e) == "Well"):
        samples = [e for e in well if _tag(e) == "WellSample"]
        for number, sample in enumerate(samples, start=1):
            references = {e.get("ID") for e in sample if _tag(e) == "ImageRef"}
            if image.get("ID") in references:
                position = Well.checked(int(well.get("Row", 0)) + 1, int(well.get("Column", 0)) + 1)
                return _Place(position, int(sample.get("Index", number - 1)) + 1)
    match = _NAME_WELL.search(name)
    if match is None:
        raise WellNameError(name, "neither the OME-XML nor the file name says which well this is")
    site = _NAME_SITE.search(name)
    return _Place(Well.parse(match[1]), int(site[1]) if site else 1)


def _pixel_size(pixels: Element) -> float | None:
    size, unit = pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeXUnit", "µm")
    return float(size) * _TO_UM[unit] if size and unit in _TO_UM else None


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
