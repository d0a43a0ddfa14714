"""Reader for Opera Phenix and Operetta exports: `Index.idx.xml`, `Index.ref.xml` or `Index.xml`.

Up to Harmony V5 every image record carries its channel's facts; from V6 on they stand in `Maps`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from phenolake.errors import ImageReadError, WellNameError
from phenolake.identity import Well
from phenolake.images.planes import Plane, Problem
from phenolake.images.readers.base import Detection, Reader, entries_of, format_of, moment, number
from phenolake.images.readers.references import Folder, missing
from phenolake.images.readers.xml_documents import Record, stream_records

INDEX_NAMES = ("index.idx.xml", "index.ref.xml", "index.xml")
_ELEMENTS = frozenset({"InstrumentType", "Plate", "Well", "Entry", "Image"})
_PROJECTIONS = {
    "maximum": "maximum",
    "max": "maximum",
    "maximumintensity": "maximum",
    "mean": "mean",
}


def index_file(folder: Path) -> Path | None:
    """The index of a plate's folder, which lies in it or in its folder `Images`."""
    for place in (
        folder,
        *(Path(e.path) for e in entries_of(folder) if e.name.lower() == "images"),
    ):
        names = {e.name.lower(): e for e in entries_of(place) if e.is_file(follow_symlinks=False)}
        for name in INDEX_NAMES:
            if name in names:
                return Path(names[name].path)
    return None


class Operetta(Reader):
    """Planes that a Harmony index lists; those whose file is absent are problems."""

    name = "operetta"

    def detect(self, folder: Path) -> Detection | None:
        """Look for the index file."""
        index = index_file(folder)
        return (
            Detection(self.name, 1.0, f"Harmony index {index.relative_to(folder)}")
            if index
            else None
        )

    def plate_wells(self, folder: Path) -> int | None:
        """Wells by the index's rows and columns."""
        index = index_file(folder)
        try:
            # The plate stands before the images, if it stands anywhere.
            for first in stream_records(index, frozenset({"Plate", "Image"})) if index else ():
                return format_of(first.fields.get("PlateRows"), first.fields.get("PlateColumns"))
        except ImageReadError:
            pass
        return None

    def planes(self, folder: Path) -> Iterator[Plane | Problem]:
        """List the index's images; a damaged index yields what stands before the damage."""
        index = index_file(folder)
        if index is None:
            return
        listed = _Index(index.parent)
        try:
            for record in stream_records(index, _ELEMENTS):
                item = listed.take(record)
                if item is not None:
                    yield item
        except ImageReadError as error:
            yield Problem(
                "damaged_index",
                "Export the measurement again; planes listed before the damage are used.",
                uri=error.uri,
                expected="a complete Harmony index",
                got=error.reason,
            )
            return
        yield from listed.never_described()


class _Index:
    """What has been read of an index so far."""

    def __init__(self, folder: Path) -> None:
        self.files = Folder(folder)
        self.instrument: str | None = None
        self.channels: dict[str, dict[str, str]] = {}
        self.promised: dict[str, str] = {}

    def take(self, record: Record) -> Plane | Problem | None:
        """Remember a plate, well or channel; an image becomes a plane or a problem."""
        found = record.fields
        if record.name == "InstrumentType":
            self.instrument = record.text or None
        elif record.name == "Entry":
            self.channels.setdefault(record.attributes.get("ChannelID", ""), {}).update(found)
        elif record.name == "Well" and "Row" in found:
            place = f"{found['Row']},{found.get('Col', '')}"
            self.promised.update(dict.fromkeys(record.ids, place))
        elif record.name == "Image" and found:
            self.promised.pop(found.get("id", ""), None)
            return self._image({**self.channels.get(found.get("ChannelID", ""), {}), **found})
        return None

    def _image(self, image: dict[str, str]) -> Plane | Problem:
        # Old exports give a web address; the file lies beside the index under its last part.
        name = image.get("URL", "")
        name = name.rsplit("/", 1)[-1] if name.lower().startswith(("http://", "https://")) else name
        try:
            well = Well.checked(int(image["Row"]), int(image["Col"]))
            site, z, t = (
                int(image["FieldID"]),
                int(image.get("PlaneID", 1)) - 1,
                int(image.get("TimepointID", 0)),
            )
        except (WellNameError, KeyError, ValueError) as error:
            return Problem(
                "bad_index_entry",
                "Correct the entry in the index, or export the measurement again.",
                uri=str(self.files.root / name) if name else None,
                expected="an image with Row, Col, FieldID and PlaneID",
                got=f"{type(error).__name__}: {error}",
            )
        channel = image.get("ChannelName") or image.get("ChannelID", "1")
        path = self.files.find(name) if name else "no URL in the index"
        if isinstance(path, str):
            return missing(name, path, self.files.root, well=well.name, site=site, channel=channel)
        return Plane(
            path,
            well,
            site,
            channel,
            max(z, 0),
            max(t, 0),
            pixel_size_um=number(image.get("ImageResolutionX"), 1e6),
            acquired_at=moment(image.get("AbsTime")),
            instrument=self.instrument,
            excitation_nm=number(image.get("MainExcitationWavelength")),
            emission_nm=number(image.get("MainEmissionWavelength")),
            exposure_ms=number(image.get("ExposureTime"), 1e3),
            stage_x_um=number(image.get("PositionX"), 1e6),
            stage_y_um=number(image.get("PositionY"), 1e6),
            stage_z_um=number(image.get("PositionZ"), 1e6),
            projection=_PROJECTIONS.get(image.get("ProjectionType", "").lower()),
        )

    def never_described(self) -> Iterator[Problem]:
        """Images that a well announces and no record describes."""
        for name, place in self.promised.items():
            yield Problem(
                "missing_plane",
                "Export the measurement again; the index has no record of this image.",
                uri=str(self.files.root),
                expected=f"a record of image {name} of row, column {place}",
                got="none",
            )
