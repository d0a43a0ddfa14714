"""Reader for Yokogawa CellVoyager measurements: `.mlf` lists images, `.mrf` and `.mes` describe them.

Dark and shading images lie in the same folder and are listed nowhere, so they are never planes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from phenolake.errors import ImageReadError, WellNameError
from phenolake.identity import Well
from phenolake.images.planes import Plane, Problem
from phenolake.images.readers.base import (
    Detection,
    Reader,
    entries_of,
    files_below,
    format_of,
    moment,
    number,
)
from phenolake.images.readers.references import Folder, missing
from phenolake.images.readers.xml_documents import attributes, local_name, read_xml, stream_records


def list_file(folder: Path) -> Path | None:
    """The measurement's `.mlf` file, in the folder or the first one below it."""
    return next(files_below(folder, lambda path: path.suffix.lower() == ".mlf"), None)


class CellVoyager(Reader):
    """Planes that a measurement's list names; absent files and failed records are problems."""

    name = "cellvoyager"

    def detect(self, folder: Path) -> Detection | None:
        """Look for the list of images."""
        found = list_file(folder)
        return Detection(self.name, 1.0, f"CellVoyager measurement {found.name}") if found else None

    def plate_wells(self, folder: Path) -> int | None:
        """Wells by the measurement's rows and columns."""
        found = list_file(folder)
        detail = found and _Details(found.parent)
        return (
            format_of(detail.top.get("RowCount"), detail.top.get("ColumnCount")) if detail else None
        )

    def planes(self, folder: Path) -> Iterator[Plane | Problem]:
        """List the measurement's images; what the settings order and the list lacks is missing."""
        source = list_file(folder)
        if source is None:
            return
        details = _Details(source.parent)
        yield from details.problems
        files = Folder(source.parent)
        wells: set[Well] = set()
        try:
            for record in stream_records(source, frozenset({"MeasurementRecord"})):
                item = _plane(record.attributes, record.text, files, details)
                if isinstance(item, Plane):
                    wells.add(item.well)
                yield item
        except ImageReadError as error:
            yield Problem(
                "damaged_index",
                "Copy the measurement again; planes listed before the damage are used.",
                uri=error.uri,
                expected="a complete CellVoyager list",
                got=error.reason,
            )
        for well in sorted(details.ordered_wells - wells):
            yield Problem(
                "missing_well",
                "Copy the measurement again, or image the well.",
                uri=str(source),
                well=well.name,
                expected="images of a well that the settings order",
                got="none in the list",
            )


def _plane(record: dict[str, str], name: str, files: Folder, details: _Details) -> Plane | Problem:
    try:
        well = Well.checked(int(record["Row"]), int(record["Column"]))
        site, t = int(record["FieldIndex"]), int(record.get("TimePoint", 1)) - 1
        z, number_of = int(record.get("ZIndex", 1)) - 1, record["Ch"]
    except (WellNameError, KeyError, ValueError) as error:
        # Records of failed images carry a message and little else.
        return Problem(
            "image_not_acquired" if record.get("Type") == "ERR" else "bad_index_entry",
            "Image the site again.",
            uri=str(files.root),
            expected="an image with row, column, field and channel",
            got=f"{record.get('Type')}: {name or error}"[:300],
        )
    channel = details.channel(number_of)
    place: dict[str, Any] = {
        "well": well.name,
        "site": site,
        "channel": channel.get("label", number_of),
    }
    path = (
        files.find(name)
        if record.get("Type", "IMG") == "IMG"
        else f"the record is of type {record['Type']}"
    )
    if isinstance(path, str):
        return missing(name, path, files.root, **place)
    return Plane(
        path,
        well,
        site,
        place["channel"],
        max(z, 0),
        max(t, 0),
        pixel_size_um=number(channel.get("HorizontalPixelDimension")),
        acquired_at=moment(record.get("Time")),
        instrument=details.top.get("TargetSystem"),
        excitation_nm=number(channel.get("excitation")),
        emission_nm=number(channel.get("emission")),
        exposure_ms=number(channel.get("ExposureTime")),
        stage_x_um=number(record.get("X")),
        stage_y_um=number(record.get("Y")),
        stage_z_um=number(record.get("Z")),
        z_step_um=details.z_steps.get(number_of),
        projection={"MIP": "maximum", "SUM": "sum"}.get(record.get("Action", "").upper()),
    )


class _Details:
    """Channels, plate and orders from the files beside the list."""

    def __init__(self, folder: Path) -> None:
        self.top: dict[str, str] = {}
        self.ordered_wells: set[Well] = set()
        self.z_steps: dict[str, float] = {}
        self.problems: list[Problem] = []
        self._channels: dict[str, dict[str, str]] = {}
        for entry in entries_of(folder):
            path = Path(entry.path)
            take = {".mrf": self._measurement, ".mes": self._settings}.get(path.suffix.lower())
            if take is None or entry.is_symlink():
                continue
            try:
                take(path)
            except ImageReadError as error:
                self.problems.append(
                    Problem(
                        "damaged_index",
                        "Copy the measurement again; channel names or pixel size are lacking.",
                        uri=error.uri,
                        expected="a CellVoyager description",
                        got=error.reason,
                    )
                )

    def channel(self, number_of: str) -> dict[str, str]:
        """What is known of a channel, by its number."""
        return self._channels.get(number_of, {})

    def _measurement(self, path: Path) -> None:
        root = read_xml(path)
        self.top = attributes(root)
        for element in root.iter():
            if local_name(element) == "MeasurementChannel":
                found = attributes(element)
                self._channels.setdefault(found.get("Ch", ""), {}).update(found)

    def _settings(self, path: Path) -> None:
        for element in read_xml(path).iter():
            found = attributes(element)
            match local_name(element):
                case "Channel":
                    known = self._channels.setdefault(found.get("Ch", ""), {})
                    known.update(found)
                    # The stain where it was entered, else the line and filter: "405 BP445/45".
                    label = f"{found.get('Target', '')} {found.get('Acquisition', '')}".strip()
                    known["label"] = found.get("Fluorophore") or label or found.get("Ch", "")
                    known["excitation"] = found.get("Target", "")
                    known["emission"] = (
                        found.get("Acquisition", "").removeprefix("BP").partition("/")[0]
                    )
                case "TargetWell" if (element.text or "").strip() == "true":
                    try:
                        self.ordered_wells.add(
                            Well.checked(int(found["Row"]), int(found["Column"]))
                        )
                    except (WellNameError, KeyError, ValueError):
                        continue
                case "ActionAcquire3D":
                    step = number(found.get("SliceLength"))
                    for channel in (e for e in element if local_name(e) == "Ch" and step):
                        self.z_steps[(channel.text or "").strip()] = step or 0.0
