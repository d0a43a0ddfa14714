"""Find CellProfiler exports: folders of CSV files and SQLite databases, with their faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import polars as pl

from phenolake.errors import ImportSourceError
from phenolake.images.planes import Problem
from phenolake.images.readers.base import files_below
from phenolake.importing.image_sets import Place, from_folder, places, read_image_csv
from phenolake.importing.object_tables import ObjectTable, csv_tables
from phenolake.importing.sqlite_tables import (
    SqliteTable,
    compartment_tables,
    image_rows,
    image_table,
    table_columns,
    whole,
)

#: Lower-case name of a table -> compartment; others are listed in the quarantine, not imported.
COMPARTMENTS = {"cells": "Cells", "cytoplasm": "Cytoplasm", "nuclei": "Nuclei"}

_CSV = re.compile(r"(?:.*_)?(?P<table>[A-Za-z0-9]+)\.csv(?:\.gz)?", re.IGNORECASE)
_DATABASES = (".sqlite", ".sqlite3", ".db")
_NOT_OBJECTS = ("experiment", "image", "object")
_COPY_AGAIN = "Export the site again, or copy the file again; the site is left out until then."


@dataclass
class Export:
    """Tables that share image numbers: one folder of CSV files, or one database."""

    origin: Path
    images: pl.DataFrame
    tables: dict[str, ObjectTable]
    problems: list[Problem] = field(default_factory=list)

    @property
    def place(self) -> tuple[str | None, int | None]:
        """Well and site, where the export is of one image or its folder's name says so."""
        if self.images.height == 1:
            return self.images["well"][0], self.images["site"][0]
        return from_folder(self.origin.name) or (None, None)


def is_cellprofiler_csv(path: Path) -> bool:
    """Tell by its name whether a file is a table of objects."""
    match = _CSV.fullmatch(path.name)
    return match is not None and match["table"].casefold() in {*COMPARTMENTS, "object"}


def is_database(path: Path) -> bool:
    """Tell by its name whether a file is an SQLite database."""
    return path.suffix.casefold() in _DATABASES and not path.name.startswith((".", "_"))


def csv_exports(root: Path, plate: str) -> Iterator[Export]:
    """Every folder at or below `root` that holds tables of objects, in path order."""
    files = files_below(root, lambda path: _CSV.fullmatch(path.name) is not None)
    by_folder = sorted(files, key=lambda path: (path.parent, path.name))
    for folder, paths in groupby(by_folder, key=lambda path: path.parent):
        export = _csv_export(folder, list(paths), plate)
        if export is not None:
            yield export


def database_export(path: Path, plate: str) -> Export:
    """The tables of one CellProfiler database.

    Raises
    ------
    ImportSourceError
        If the file is no database, or lacks a table of images or of objects.
    """
    columns = table_columns(path)
    images_in = image_table(columns)
    objects = compartment_tables(columns)
    known = {name: table for name, table in objects.items() if name.casefold() in COMPARTMENTS}
    if images_in is None or not known:
        raise ImportSourceError(
            path,
            "has no CellProfiler tables (expected Image or Per_Image, and Cells or Per_Cells); "
            f"found {', '.join(columns) or 'none'}",
        )
    if "ImageNumber" not in columns[images_in]:
        raise ImportSourceError(path, f"table {images_in} has no column ImageNumber")
    rows = image_rows(path, images_in, columns[images_in])
    numbers = None
    if "TableNumber" in rows.columns:
        pairs = rows.select("TableNumber", "ImageNumber").iter_rows()
        numbers = {(str(t), whole(i)): n for n, (t, i) in enumerate(pairs, start=1)}
    tables: dict[str, ObjectTable] = {
        COMPARTMENTS[name.casefold()]: SqliteTable(
            name, path, table, tuple(columns[table]), numbers
        )
        for name, table in known.items()
    }
    problems = [
        _not_imported(f"{path}::{table}", name)
        for name, table in objects.items()
        if name not in known
    ]
    return Export(path, places(rows, Place(plate, path.stem)), tables, problems)


def _csv_export(folder: Path, paths: list[Path], plate: str) -> Export | None:
    named: dict[str, Path] = {}
    for path in paths:
        match = _CSV.fullmatch(path.name)
        named.setdefault(match["table"].casefold() if match else path.name, path)
    objects = {table: path for table, path in named.items() if table in COMPARTMENTS}
    if not objects and "object" in named:
        objects = {"object": named["object"]}
    if not objects and "image" not in named:
        return None
    problems = [
        _not_imported(str(path), path.name)
        for table, path in named.items()
        if table not in COMPARTMENTS and table not in _NOT_OBJECTS and _has_objects(path)
    ]
    images = _images(folder, named.get("image"), list(objects.values()), plate, problems)
    export = Export(folder, images, {}, problems)
    well, site = export.place
    for path in objects.values():
        try:
            for table in csv_tables(path, COMPARTMENTS):
                if table.compartment in COMPARTMENTS.values():
                    export.tables[table.compartment] = table
        except ImportSourceError as error:
            problems.append(refused(error, well, site))
    return export


def _images(
    folder: Path, path: Path | None, objects: list[Path], plate: str, problems: list[Problem]
) -> pl.DataFrame:
    place = Place(plate, folder.name)
    well, site = from_folder(folder.name) or (None, None)
    if path is None:
        problems.append(
            Problem(
                "no_image_table",
                "Put Image.csv beside the tables, so that wells and sites are known.",
                uri=str(folder),
                well=well,
                site=site,
                expected="Image.csv",
                got="no such file",
            )
        )
        return places(_image_numbers(objects), place)
    try:
        table = read_image_csv(path)
    except ImportSourceError as error:
        problems.append(refused(error, well, site))
        return places(pl.DataFrame(schema={"ImageNumber": pl.String}), place)
    if table.is_empty():
        problems.append(
            Problem(
                "empty_table", _COPY_AGAIN, uri=str(path), well=well, site=site,
                expected="a row per image", got="a header and no rows",
            )
        )  # fmt: skip
    return places(table, place)


def _image_numbers(objects: list[Path]) -> pl.DataFrame:
    """Image numbers that the first readable table names, for exports without Image.csv."""
    for path in objects:
        try:
            skip = 0 if "ImageNumber" in _first_line(path) else 1
            scan = pl.scan_csv(path, skip_rows=skip, infer_schema=False, truncate_ragged_lines=True)
            numbers = scan.select(pl.col("ImageNumber").cast(pl.Float64, strict=False)).unique()
            found = numbers.drop_nulls().sort("ImageNumber").collect(engine="streaming")
            return found.select(pl.col("ImageNumber").cast(pl.Int64).cast(pl.String))
        except (pl.exceptions.PolarsError, OSError, ImportSourceError):
            continue
    return pl.DataFrame(schema={"ImageNumber": pl.String})


def _first_line(path: Path) -> list[str]:
    from phenolake.importing.csv_blocks import header_lines

    return next(iter(header_lines(path)), [])


def _has_objects(path: Path) -> bool:
    try:
        return "ObjectNumber" in _first_line(path)
    except ImportSourceError:
        return False


def refused(error: ImportSourceError, well: str | None, site: int | None) -> Problem:
    """A table that can't be read, as a problem."""
    kind = "empty_file" if error.reason == "the file is empty" else "unreadable_table"
    return Problem(
        kind,
        _COPY_AGAIN,
        uri=error.path,
        well=well,
        site=site,
        expected="a table",
        got=error.reason,
    )


def _not_imported(uri: str, name: str) -> Problem:
    return Problem(
        "table_not_imported",
        f"Only {', '.join(COMPARTMENTS.values())} are joined to cells; export others beside them.",
        uri=uri,
        expected=f"one of {', '.join(COMPARTMENTS.values())}",
        got=name,
    )
