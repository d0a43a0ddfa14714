"""CellProfiler exports small enough to work out by hand."""

from __future__ import annotations

import csv
import gzip
import io
import sqlite3
from pathlib import Path

Table = list[list[object]]

IMAGE: Table = [
    ["ImageNumber", "Metadata_Plate", "Metadata_Well", "Metadata_Site"],
    [1, "P1", "a1", 1],
    [2, "P1", "B02", 3],
]
# Image 1: nucleus 2 has no cell, and cell 2 belongs to nucleus 3.
CELLS: Table = [
    ["ImageNumber", "ObjectNumber", "AreaShape_Area", "Parent_Nuclei", "Number_Object_Number"],
    [1, 1, 100.5, 1, 1],
    [1, 2, 200.25, 3, 2],
    [2, 1, "nan", 1, 1],
]
NUCLEI: Table = [
    ["ImageNumber", "ObjectNumber", "AreaShape_Area"],
    [1, 1, 10],
    [1, 2, 20],
    [1, 3, 30],
    [2, 1, 40],
]
# Image 2 lists its cytoplasm under another number than its cell.
CYTOPLASM: Table = [
    ["ImageNumber", "ObjectNumber", "AreaShape_Area", "Parent_Cells"],
    [1, 1, 90.5, 1],
    [1, 2, 170.25, 2],
    [2, 7, "", 1],
]
TABLES = {"Image": IMAGE, "Cells": CELLS, "Nuclei": NUCLEI, "Cytoplasm": CYTOPLASM}


def write_csv(path: Path, table: Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_folder(folder: Path, suffix: str = ".csv", **changed: Table | None) -> Path:
    """The export as CSV files; a table given as None is left out."""
    for name, table in {**TABLES, **changed}.items():
        if table is not None:
            write_csv(folder / f"{name}{suffix}", table)
    return folder


def write_database(path: Path, *, per: bool, reverse: bool = False) -> Path:
    """The export as a database of either kind; `reverse` stores the rows last first."""
    with sqlite3.connect(path) as connection:
        for name, (header, *rows) in TABLES.items():
            columns = [_in_database(name, str(column), per) for column in header]
            table = f"Per_{name}" if per else name
            if not per:
                columns = ["TableNumber", *columns]
                rows = [["t", *row] for row in rows]
            connection.execute(f"create table {table} ({', '.join(columns)})")
            values = ["null" if v in ("nan", "") else repr(v) for row in rows for v in row]
            width = len(columns)
            lines = [values[i : i + width] for i in range(0, len(values), width)]
            for line in reversed(lines) if reverse else lines:
                connection.execute(f"insert into {table} values ({', '.join(line)})")
    return path


def _in_database(table: str, column: str, per: bool) -> str:
    if column == "ImageNumber" or (column == "ObjectNumber" and not per):
        return column
    if column == "ObjectNumber":
        return f"{table}_Number_Object_Number"
    if column == "Number_Object_Number":
        return f"{table}_{'Second' if per else ''}Number_Object_Number"
    return f"{table}_{column}"
