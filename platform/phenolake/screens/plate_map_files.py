"""Load a plate map's file as one table of texts: CSV, XLSX, grids, assay layout XML, JUMP's pair."""

from __future__ import annotations

import codecs
import csv
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import polars as pl

from phenolake.errors import ConfigurationError, ImageReadError
from phenolake.identity import Well
from phenolake.images.readers.base import entries_of
from phenolake.images.readers.references import Folder, relative_parts
from phenolake.images.readers.xml_documents import fields, local_name, read_xml
from phenolake.screens.plate_map_grids import grids

MAX_BYTES = 256 * 1024**2
MAX_ROWS, MAX_COLUMNS = 2_000_000, 512
_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx")
_BARCODES, _MAP_NAMES = (
    ("assay_plate_barcode", "plate_barcode", "barcode"),
    ("plate_map_name", "platemap_name"),
)


@dataclass(frozen=True)
class LoadedMap:
    """A plate map as texts, with a column that names wells; `path` is where it came from."""

    path: Path
    table: pl.DataFrame
    is_for_one_plate: bool = False
    extra: dict[str, str] = field(default_factory=dict)


def find_plate_map(folder: Path, plate: str) -> Path | None:
    """A screen's plate map that nobody named: JUMP's barcode file, or a map or layout by its name.

    Of several barcode files the first that lists the plate is taken.
    """
    for place in (folder, *(folder / part for part in ("metadata", "platemaps"))):
        if place.is_symlink():
            continue
        names = [e.name for e in entries_of(place) if e.is_file(follow_symlinks=False)]
        barcodes = [place / name for name in names if _is_barcode_file(name.lower())]
        if barcodes:
            return next((path for path in barcodes if _lists(path, plate)), barcodes[0])
        if found := next((name for name in names if _is_map_file(name.lower())), None):
            return place / found
    return None


def _lists(path: Path, plate: str) -> bool:
    return any(plate in row for _, rows in _sheets(path) for row in rows)


def find_assay_layout(plate_folder: Path) -> Path | None:
    """Harmony's assay layout in a plate's folder, or beside its folder `Images`."""
    for place in (plate_folder, plate_folder.parent):
        for entry in entries_of(place):
            if entry.name.lower() == "assaylayout" and entry.is_dir(follow_symlinks=False):
                layouts = [
                    e for e in entries_of(Path(entry.path)) if e.name.lower().endswith(".xml")
                ]
                if layouts:
                    return Path(layouts[0].path)
    return None


def load_plate_map(path: Path, plate: str) -> LoadedMap:
    """The rows of a plate map's file; a barcode file leads to the plate's own map beside it.

    Without a plate's name the file is taken as a map, whatever it holds.

    Raises
    ------
    ConfigurationError
        If the file can't be read, or the map that a barcode file names is not there.
    """
    if path.suffix.lower() == ".xml":
        return LoadedMap(path, _assay_layout(path), is_for_one_plate=True)
    sheets = list(_sheets(path))
    drawn: dict[str, dict[Well, str]] = {}
    for title, rows in sheets:
        for name, cells in grids(rows, title).items():
            drawn.setdefault(name, {}).update(cells)
    if drawn:
        return LoadedMap(path, _from_cells(drawn), is_for_one_plate=True)
    table = _table(sheets[0][1] if sheets else [], path)
    plain = {name.casefold(): name for name in table.columns}
    barcode = next((plain[name] for name in _BARCODES if name in plain), None)
    map_name = next((plain[name] for name in _MAP_NAMES if name in plain), None)
    if plate and barcode and map_name and not any("well" in name for name in plain):
        return _by_barcode(path, table, barcode, map_name, plate)
    return LoadedMap(path, table)


def _by_barcode(
    path: Path, table: pl.DataFrame, barcode: str, map_name: str, plate: str
) -> LoadedMap:
    """The map that JUMP's barcode file gives a plate."""
    rows = table.filter(pl.col(barcode) == plate)
    if rows.is_empty():  # every imaged well is then reported as one without a row
        return LoadedMap(path, pl.DataFrame(schema={"well": pl.String}), is_for_one_plate=True)
    record = {name: value for name, value in rows.row(0, named=True).items() if value}
    name = record.get(map_name, "")
    if (relative_parts(name) or [""]) != [name]:
        raise ConfigurationError(f"{path}: plate map name {name!r} is no file name")
    files = Folder(path.parent)
    for place in ("platemap/", "platemaps/", ""):
        for suffix in ("", *_SUFFIXES):
            found = files.find(f"{place}{name}{suffix}")
            if isinstance(found, Path) and found != path and found.is_file():
                extra = {k: v for k, v in record.items() if k not in (barcode, map_name)}
                return LoadedMap(found, load_plate_map(found, "").table, True, extra)
    raise ConfigurationError(
        f"{path}: no file for plate map {name!r} in its folder or in platemap/"
    )


def _sheets(path: Path) -> Iterator[tuple[str, list[list[str]]]]:
    """Title and rows of every sheet; a text file is one sheet named as the file."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigurationError(
                f"{path}: a plate map of {path.stat().st_size:,} bytes is too large"
            )
        if path.suffix.lower() == ".xlsx":
            yield from _workbook(path)
        else:
            yield "", list(_text_rows(path))
    except ConfigurationError:
        raise
    except Exception as error:  # workbooks raise almost anything when damaged
        kind = "workbook" if path.suffix.lower() == ".xlsx" else "CSV plate map"
        raise ConfigurationError(f"{path}: not readable as a {kind}: {error}") from error


def _workbook(path: Path) -> Iterator[tuple[str, list[list[str]]]]:
    from openpyxl import load_workbook

    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > MAX_BYTES:
        raise ConfigurationError(f"{path}: a workbook of {unpacked:,} bytes unpacked is too large")
    book = load_workbook(path, read_only=True, data_only=True)
    try:
        for sheet in book.worksheets:
            rows = sheet.iter_rows(max_row=MAX_ROWS, max_col=MAX_COLUMNS, values_only=True)
            yield sheet.title, [[_text(value) for value in row] for row in rows]
    finally:
        book.close()


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _text_rows(path: Path) -> Iterator[list[str]]:
    content = path.read_bytes()
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")
    first = text.split("\n", 1)[0]
    # The sign that parts most cells of the first line; a tab for .tsv and .txt if none does.
    usual = "\t" if path.suffix.lower() in (".tsv", ".txt") else ","
    separator = max((usual, ",", ";", "\t"), key=first.count)
    lines = islice(csv.reader(text.splitlines(), delimiter=separator), MAX_ROWS)
    yield from (row[:MAX_COLUMNS] for row in lines)


def _table(rows: list[list[str]], path: Path) -> pl.DataFrame:
    """Rows below the first filled one, under its names; repeated names are numbered."""
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    if not filled:
        raise ConfigurationError(f"{path}: not readable as a CSV plate map: the file is empty")
    names: list[str] = []
    for count, cell in enumerate(filled[0], start=1):
        name = cell.strip() or f"column_{count}"
        names.append(name if name not in names else f"{name}_{count}")
    columns = {
        name: [row[at].strip() if at < len(row) else "" for row in filled[1:]]
        for at, name in enumerate(names)
    }
    return pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))


def _from_cells(variables: dict[str, dict[Well, str]]) -> pl.DataFrame:
    wells = sorted({well for cells in variables.values() for well in cells})
    columns = {"well": [well.name for well in wells]}
    for name, cells in variables.items():
        columns[name if name.casefold() != "well" else "well_value"] = [
            cells.get(well, "") for well in wells
        ]
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def _assay_layout(path: Path) -> pl.DataFrame:
    """Harmony's assay layout: one layer per variable."""
    try:
        root = read_xml(path)
    except ImageReadError as error:
        raise ConfigurationError(f"{path}: {error.reason}") from error
    variables: dict[str, dict[Well, str]] = {}
    for layer in (e for e in root if local_name(e) == "Layer"):
        about = fields(layer)
        unit = about.get("ValueUnit") or about.get("Unit")
        name = about.get("Name", "Layer") + (f" ({unit})" if unit else "")
        cells = variables.setdefault(name, {})
        cells.update(_layer_cells(e for e in layer if local_name(e) == "Well"))
    return _from_cells(variables)


def _layer_cells(wells: Iterable[object]) -> Iterator[tuple[Well, str]]:
    for well in wells:
        found = fields(well)  # type: ignore[arg-type]
        row, column, value = found.get("Row", ""), found.get("Col", ""), found.get("Value", "")
        if (
            value
            and row.isdecimal()
            and column.isdecimal()
            and int(row) <= 32
            and int(column) <= 48
        ):
            yield Well.checked(int(row), int(column)), value


def _is_barcode_file(name: str) -> bool:
    return name.endswith("barcode_platemap.csv")


def _is_map_file(name: str) -> bool:
    stem, dot, suffix = name.rpartition(".")
    words = stem.replace("_", "").replace("-", "").replace(" ", "")
    return f"{dot}{suffix}" in _SUFFIXES and (
        words.startswith("platemap") or words.endswith("layout")
    )
