"""Planes that an OME-XML document describes: series, channels, positions and the pages they lie in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from xml.etree.ElementTree import Element

from phenolake.errors import WellNameError
from phenolake.identity import Well
from phenolake.images.planes import Plane
from phenolake.images.readers.base import format_of, moment, number
from phenolake.images.readers.xml_documents import local_name

#: Most planes one document may describe; more is taken for a damaged file.
MAX_PLANES = 2_000_000
_NAME_WELL = re.compile(r"(?:^|[_\-. /])([A-Za-z]{1,2}\d{1,2})(?=[_\-. ])")
_NAME_SITE = re.compile(r"[_\-. ](?:s|f|site|field)_?(\d{1,6})(?=[_\-. ])", re.IGNORECASE)
_TO_UM = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "pm": 1e-6}
_TO_MS = {"s": 1e3, "ms": 1.0, "µs": 1e-3, "μs": 1e-3, "us": 1e-3, "min": 6e4}
#: Longest list of pages one `TiffData` element may stand for.
_ORDERS = frozenset({"XYZCT", "XYZTC", "XYCTZ", "XYCZT", "XYTCZ", "XYTZC"})


@dataclass(frozen=True, slots=True)
class Page:
    """One described plane: in which file (None: the one the document lies in) and on which page."""

    file: str | None
    plane: Plane


@dataclass(frozen=True, slots=True)
class _Place:
    well: Well
    site: int
    plate: str | None


def pages(root: Element, path: Path, name: str) -> Iterator[Page]:
    """Every plane a document describes, series by series; `path` stands in for its own file.

    Raises
    ------
    ValueError, KeyError, WellNameError
        If the document contradicts itself or does not say which well an image shows.
    """
    instrument = next((e.get("Model") for e in root.iter() if local_name(e) == "Microscope"), None)
    images = [e for e in root if local_name(e) == "Image"]
    if not images:
        raise ValueError("the OME-XML describes no image")
    places = _places(root)
    for series, image in enumerate(images):
        pixels = next((e for e in image if local_name(e) == "Pixels"), None)
        if pixels is None:
            raise ValueError(f"image {series} of the OME-XML has no Pixels")
        place = places.get(image.get("ID", "")) or _place_by_name(
            name, image, series if len(images) > 1 else None
        )
        yield from _series(image, pixels, place, path, instrument)


def plate_format(root: Element) -> int | None:
    """Wells of the plate by its rows and columns."""
    plate = next((e for e in root if local_name(e) == "Plate"), None)
    return None if plate is None else format_of(plate.get("Rows"), plate.get("Columns"))


def _series(
    image: Element, pixels: Element, place: _Place, path: Path, instrument: str | None
) -> Iterator[Page]:
    sizes = {axis: int(pixels.get(f"Size{axis}", "1")) for axis in "ZCT"}
    channels = [e for e in pixels if local_name(e) == "Channel"]
    # A colour channel counts its samples in SizeC but is one plane.
    samples = max(1, int(channels[0].get("SamplesPerPixel", "1"))) if channels else 1
    sizes["C"] = max(1, sizes["C"] // samples)
    total = sizes["Z"] * sizes["C"] * sizes["T"]
    if min(sizes.values()) < 1 or total > MAX_PLANES:
        raise ValueError(f"the OME-XML claims {sizes} planes")
    order = pixels.get("DimensionOrder", "XYZCT")
    if order not in _ORDERS:
        raise ValueError(f"unknown DimensionOrder {order!r}")
    names = [e.get("Name") or str(count) for count, e in enumerate(channels)][: sizes["C"]]
    names += [str(count) for count in range(len(names), sizes["C"])]
    base = Plane(
        path,
        place.well,
        place.site,
        "",
        pixel_size_um=number(
            pixels.get("PhysicalSizeX"), _TO_UM.get(pixels.get("PhysicalSizeXUnit", "µm"), 0)
        )
        or None,
        z_step_um=number(
            pixels.get("PhysicalSizeZ"), _TO_UM.get(pixels.get("PhysicalSizeZUnit", "µm"), 0)
        )
        or None,
        acquired_at=moment(
            next((e.text for e in image if local_name(e) == "AcquisitionDate"), None)
        ),
        instrument=instrument,
        plate=place.plate,
    )
    described = {_position(e): e for e in pixels if local_name(e) == "Plane"}
    for file, page, at in _blocks(pixels, sizes, order[2:], total):
        plane = replace(base, channel=names[at["C"]], z=at["Z"], t=at["T"], index_in_file=page)
        if at["C"] < len(channels):
            light = channels[at["C"]]
            plane = replace(
                plane,
                excitation_nm=number(light.get("ExcitationWavelength")),
                emission_nm=number(light.get("EmissionWavelength")),
            )
        detail = described.get((at["Z"], at["C"], at["T"]))
        yield Page(file, plane if detail is None else _detailed(plane, detail))


def _blocks(
    pixels: Element, sizes: dict[str, int], fastest_first: str, total: int
) -> Iterator[tuple[str | None, int, dict[str, int]]]:
    """File, page and position of every plane; without `TiffData`, pages follow the order."""
    blocks = [e for e in pixels if local_name(e) == "TiffData"]
    left = 2 * MAX_PLANES
    for block in blocks or [Element("TiffData")]:
        uuid = next((e for e in block if local_name(e) == "UUID"), None)
        file = None if uuid is None else uuid.get("FileName")
        page = int(block.get("IFD", "0"))
        first = {axis: int(block.get(f"First{axis}", "0")) for axis in "ZCT"}
        alone = "IFD" in block.attrib or uuid is not None
        count = int(block.get("PlaneCount", "1" if alone else str(total)))
        start = _index(first, sizes, fastest_first)
        left -= max(count, 0)
        if page < 0 or start < 0 or left < 0:
            raise ValueError("a TiffData element points nowhere")
        for step in range(min(count, total - start)):
            rest, at = start + step, {}
            for axis in fastest_first:
                rest, at[axis] = divmod(rest, sizes[axis])
            yield file, page + step, at


def _index(at: dict[str, int], sizes: dict[str, int], fastest_first: str) -> int:
    index = 0
    for axis in reversed(fastest_first):
        index = index * sizes[axis] + at[axis]
    return index


def _position(plane: Element) -> tuple[int, int, int]:
    return int(plane.get("TheZ", "0")), int(plane.get("TheC", "0")), int(plane.get("TheT", "0"))


def _detailed(plane: Plane, detail: Element) -> Plane:
    def um(name: str) -> float | None:
        factor = _TO_UM.get(detail.get(f"Position{name}Unit", "µm"))
        return number(detail.get(f"Position{name}"), factor) if factor else None

    delay = number(detail.get("DeltaT"), _TO_MS.get(detail.get("DeltaTUnit", "s"), 1e3))
    start = plane.acquired_at
    late = start is not None and delay is not None and 0 <= delay < 1e12
    return replace(
        plane,
        exposure_ms=number(
            detail.get("ExposureTime"), _TO_MS.get(detail.get("ExposureTimeUnit", "s"), 1e3)
        ),
        stage_x_um=um("X"),
        stage_y_um=um("Y"),
        stage_z_um=um("Z"),
        acquired_at=start + timedelta(milliseconds=delay) if late else start,  # type: ignore[operator, arg-type]
    )


def _places(root: Element) -> dict[str, _Place]:
    """Image id -> well and site, from the document's plates."""
    places: dict[str, _Place] = {}
    for plate in (e for e in root if local_name(e) == "Plate"):
        for well in (e for e in plate if local_name(e) == "Well"):
            position = Well.checked(int(well.get("Row", "0")) + 1, int(well.get("Column", "0")) + 1)
            samples = [e for e in well if local_name(e) == "WellSample"]
            for count, sample in enumerate(samples):
                for reference in (e for e in sample if local_name(e) == "ImageRef"):
                    places[reference.get("ID", "")] = _Place(position, count + 1, plate.get("Name"))
    return places


def _place_by_name(name: str, image: Element, series: int | None) -> _Place:
    """Well and site from the image's name in the document, or else from the file's name."""
    for text in (image.get("Name", "") + ".", name):
        match = _NAME_WELL.search(text)
        if match is not None:
            site = _NAME_SITE.search(text)
            return _Place(Well.parse(match[1]), int(site[1]) if site else (series or 0) + 1, None)
    raise WellNameError(name, "neither the OME-XML nor the file name says which well this is")
