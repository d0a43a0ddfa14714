"""Reader for CellProfiler's `load_data.csv`, as in the Cell Painting Gallery.

Columns `FileName_<channel>` and `PathName_<channel>` (or `URL_<channel>`), and `Metadata_` columns.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlparse

from phenolake.errors import ImageReadError, WellNameError
from phenolake.identity import Well, row_number
from phenolake.images.planes import Plane, Problem
from phenolake.images.readers.base import Detection, Reader, entries_of, files_below
from phenolake.images.readers.references import Folder, missing

_FILE, _PATH, _URL = "FileName_", "PathName_", "URL_"
MAX_ROWS = 5_000_000
MAX_LISTS = 10_000


def list_files(folder: Path) -> list[Path]:
    """CSV files that list images: in the folder, or in `load_data_csv` or `workspace/load_data_csv`.

    Of lists in one folder, one with illumination functions gives way to one without.
    """
    places = [folder, *(folder / part for part in ("load_data_csv", "workspace/load_data_csv"))]
    found = [
        Path(e.path)
        for e in entries_of(folder)
        if _is_list(e.name) and e.is_file(follow_symlinks=False)
    ]
    for place in places[1:]:
        if not place.is_symlink():
            found += islice(files_below(place, lambda path: _is_list(path.name)), MAX_LISTS)
    listing = [path for path in found if any(c.startswith((_FILE, _URL)) for c in _columns(path))]
    plain = {path.parent for path in listing if "illum" not in path.name.lower()}
    return [
        path for path in listing if "illum" not in path.name.lower() or path.parent not in plain
    ]


def _is_list(name: str) -> bool:
    return name.lower().startswith("load_data") and name.lower().endswith(".csv")


def plate_names(folder: Path) -> list[str]:
    """Plates that the lists name, in order of appearance."""
    names: dict[str, None] = {}
    for path in list_files(folder):
        with suppress(ImageReadError):  # said when the planes are listed
            for row in _rows(path):
                if row.get("Metadata_Plate"):
                    names.setdefault(row["Metadata_Plate"])
    return list(names)


class LoadData(Reader):
    """Planes that CSV rows name; files are looked for below the plate's folder only.

    Paths of the machine where the list was made are matched by their last folders.
    """

    name = "load_data"

    def detect(self, folder: Path) -> Detection | None:
        """Look for lists with file columns."""
        found = list_files(folder)
        return Detection(self.name, 1.0, f"{len(found)} load_data.csv file(s)") if found else None

    def planes(self, folder: Path) -> Iterator[Plane | Problem]:
        """List every channel of every row."""
        files = Folder(folder)
        for path in list_files(folder):
            channels = [c.removeprefix(_FILE) for c in _columns(path) if c.startswith(_FILE)]
            channels += [
                c.removeprefix(_URL)
                for c in _columns(path)
                if c.startswith(_URL) and c.removeprefix(_URL) not in channels
            ]
            # Illumination functions are listed beside the images they belong to.
            channels = [c for c in channels if not c.startswith("Illum")]
            try:
                for count, row in enumerate(_rows(path), start=2):
                    yield from _row(row, channels, files, path, count)
            except ImageReadError as error:
                yield Problem(
                    "damaged_index",
                    "Write the list again; rows before the damage are used.",
                    uri=error.uri,
                    expected="a CSV list of images",
                    got=error.reason,
                )


def _row(
    row: dict[str, str], channels: list[str], files: Folder, source: Path, line: int
) -> Iterator[Plane | Problem]:
    try:
        well = _well(row)
        site = int(_first(row, "Metadata_Site", "Metadata_Field", "Metadata_FieldID") or 1)
        z = int(_first(row, "Metadata_Z", "Metadata_PlaneID") or 0)
        t = int(_first(row, "Metadata_T", "Metadata_TimePoint", "Metadata_Time") or 0)
    except (WellNameError, ValueError) as error:
        yield Problem(
            "bad_index_entry",
            "Correct the row.",
            uri=f"{source}, line {line}",
            expected="Metadata_Well, and whole numbers for site, z and t",
            got=str(error)[:300],
        )
        return
    for channel in channels:
        name = row.get(_FILE + channel) or ""
        place = row.get(_PATH + channel) or ""
        if not name and not row.get(_URL + channel):
            continue
        path = _located(place, name, row.get(_URL + channel) or "", files, source.parent)
        label = channel.removeprefix("Orig")
        if isinstance(path, str):
            yield missing(
                f"{place}/{name}".lstrip("/"),
                path,
                files.root,
                well=well.name,
                site=site,
                channel=label,
            )
            continue
        yield Plane(
            path, well, site, label, max(z, 0), max(t, 0), plate=row.get("Metadata_Plate") or None
        )


def _located(place: str, name: str, url: str, files: Folder, beside: Path) -> Path | str:
    """The image below the root: as given, beside the list, or under the path's last folders."""
    if not name:
        parsed = urlparse(url)
        place, _, name = unquote(parsed.path).rpartition("/")
    if "/" in name or "\\" in name or ".." in place.replace("\\", "/").split("/"):
        return "a path that leaves the plate's folder"
    root = str(files.root)
    if place == root or place.startswith(root + "/"):
        place = place[len(root) + 1 :]
    parts = [part for part in place.replace("\\", "/").split("/") if part not in ("", ".")]
    above = beside.relative_to(files.root).parts if beside.is_relative_to(files.root) else ()
    for start in range(len(parts) + 1):
        for prefix in dict.fromkeys(((), above)):
            found = files.find("/".join((*prefix, *parts[start:], name)))
            if isinstance(found, Path):
                return found
    return "no such file below the plate's folder"


def _well(row: dict[str, str]) -> Well:
    if text := _first(row, "Metadata_Well", "Metadata_WellID"):
        return Well.parse(text)
    line, column = (
        _first(row, "Metadata_Row", "Metadata_WellRow"),
        _first(row, "Metadata_Col", "Metadata_Column"),
    )
    if not line or not column:
        raise ValueError("the row names no well")
    return Well.checked(int(line) if line.isdecimal() else row_number(line), int(column))


def _first(row: dict[str, str], *names: str) -> str:
    return next((row[name].strip() for name in names if row.get(name, "").strip()), "")


def _columns(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            return next(csv.reader(iter([file.readline(1 << 20)])), [])
    except (OSError, csv.Error):
        return []


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.DictReader(file, restval="")
            for row in islice(reader, MAX_ROWS):
                row.pop(None, None)
                yield row
    except (OSError, csv.Error) as error:
        raise ImageReadError(str(path), f"not readable as CSV: {error}") from error
