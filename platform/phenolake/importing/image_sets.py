"""Where the images of an export lie: plate, well and site of every image number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from phenolake.errors import ImportSourceError, WellNameError
from phenolake.identity import Well, row_letters
from phenolake.images.readers.filename_pattern import KNOWN_PATTERNS
from phenolake.importing.csv_blocks import header_lines

#: Well of images of which neither a table nor a name says where they lie.
UNPLACED = "unplaced"

_PLATE = ("plate", "barcode", "plateid", "platename", "assayplatebarcode")
_WELL = ("well", "wellname", "wellid", "wellposition")
_ROW = ("wellrow", "row")
_COLUMN = ("wellcolumn", "wellcol", "column", "col")
_SITE = ("site", "field", "fieldid", "fov", "siteid", "fieldofview", "frame")
_FOLDER = re.compile(r"(?:.*[^A-Za-z0-9])?([A-P]\d{1,2})(?:[-_ ]+[sfSF]?(\d+))?")
_NAMES = [re.compile(pattern) for pattern in KNOWN_PATTERNS.values()]


@dataclass(frozen=True)
class Place:
    """What a folder or the caller says where the image table is silent."""

    plate: str
    folder: str


def read_image_csv(path: Path) -> pl.DataFrame:
    """Metadata and file names of an Image.csv, as text.

    Raises
    ------
    ImportSourceError
        If the file is empty or damaged.
    """
    header = header_lines(path)
    if not header or not any(header[0]):
        raise ImportSourceError(path, "the file is empty")
    wanted = [
        name
        for name in dict.fromkeys(header[0])
        if name == "ImageNumber" or "Metadata_" in name or "FileName_" in name
    ]
    try:
        table = pl.read_csv(path, infer_schema=False, columns=wanted, encoding="utf8-lossy")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ImportSourceError(
            path, f"not readable as CSV: {str(error).splitlines()[0]}"
        ) from error
    return table


def places(table: pl.DataFrame, place: Place) -> pl.DataFrame:
    """Columns image (running number in the table for paired numbers), plate, well and site.

    Wells and sites come from metadata, else from image file names, else from the folder's name.
    """
    plain = {_plain(name): name for name in reversed(table.columns) if "Metadata_" in name}
    files = [name for name in table.columns if "FileName_" in name]
    rows = []
    for number, record in enumerate(table.iter_rows(named=True), start=1):
        well, site = _from_metadata(record, plain)
        if well is None:
            named = next((f for name in files if (f := _from_name(record[name]))), None)
            found = named or from_folder(place.folder)
            if found is not None:
                well, site = found[0], site if site is not None and named is None else found[1]
        image = _whole(record.get("ImageNumber"))
        rows.append(
            {
                "image": number if "TableNumber" in table.columns or image is None else image,
                "plate": _first(record, plain, _PLATE) or place.plate,
                "well": well or UNPLACED,
                "site": site if site is not None else (image or number),
            }
        )
    return pl.DataFrame(
        rows, schema={"image": pl.Int64, "plate": pl.String, "well": pl.String, "site": pl.Int64}
    )


def from_folder(name: str) -> tuple[str, int | None] | None:
    """Well and site in a folder's name such as `A01-1`."""
    match = _FOLDER.fullmatch(name)
    if match is None:
        return None
    try:
        return Well.parse(match[1]).name, int(match[2]) if match[2] else None
    except WellNameError:
        return None


def _from_metadata(
    record: dict[str, str | None], plain: dict[str, str]
) -> tuple[str | None, int | None]:
    site = _whole(_first(record, plain, _SITE))
    text = _first(record, plain, _WELL)
    row, column = _first(record, plain, _ROW), _first(record, plain, _COLUMN)
    try:
        if text is not None:
            return Well.parse(text).name, site
        if row is not None and column is not None:
            letters = row_letters(int(row)) if row.isdigit() else row
            return Well.parse(f"{letters}{column}").name, site
    except WellNameError:
        return None, site
    return None, site


def _from_name(name: str | None) -> tuple[str, int | None] | None:
    for pattern in _NAMES:
        match = pattern.fullmatch(name or "")
        if match is None:
            continue
        found = match.groupdict()
        try:
            row = found.get("row") or ""
            well = found.get("well") or (
                f"{row_letters(int(row)) if row.isdigit() else row}{found.get('column')}"
            )
            return Well.parse(well).name, _whole(found.get("site"))
        except WellNameError:
            continue
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.partition("Metadata_")[2].casefold())


def _first(
    record: dict[str, str | None], plain: dict[str, str], names: tuple[str, ...]
) -> str | None:
    for name in names:
        value = record[plain[name]] if name in plain else None
        if value is not None and value.strip() and value.casefold() != "nan":
            return value.strip()
    return None


def _whole(text: str | None) -> int | None:
    match = re.fullmatch(r"\D{0,8}(\d{1,9})(?:\.0*)?", text or "")
    return int(match[1]) if match else None
