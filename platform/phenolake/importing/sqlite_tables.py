"""CellProfiler databases: `Image, Cells, ...` of cytominer-database and `Per_Image, Per_Cells, ...`."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import polars as pl

from phenolake.errors import ImportSourceError
from phenolake.importing.csv_blocks import Faults
from phenolake.importing.object_tables import IMAGE, is_feature, placed_name, typed

_ROWS = 2000
#: Columns of one SELECT; SQLite allows 2,000 in a result unless it was built otherwise.
_MOST_COLUMNS = 1900


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection that follows no triggers or functions of the file.

    Raises
    ------
    ImportSourceError
        If the file is damaged or no database.
    """
    connection = None
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True, check_same_thread=False
        )
        connection.execute("pragma trusted_schema = off")
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        yield connection
    except sqlite3.Error as error:
        raise ImportSourceError(path, f"is no readable SQLite database: {error}") from error
    finally:
        if connection is not None:
            connection.close()


def table_columns(path: Path) -> dict[str, list[str]]:
    """Columns of every table of a database, by table."""
    with opened(path) as connection:
        names = [
            row[0]
            for row in connection.execute("select name from sqlite_master where type = 'table'")
        ]
        return {
            name: [row[1] for row in connection.execute(f"pragma table_info({_quoted(name)})")]
            for name in names
        }


@dataclass
class SqliteTable:
    """One compartment's table in a database.

    `image_numbers` maps (TableNumber, ImageNumber) to the running number of the image, where image
    numbers alone are not unique.
    """

    compartment: str
    path: Path
    table: str
    source_columns: tuple[str, ...]
    image_numbers: Mapping[tuple[str, int], int] | None = None
    faults: Faults = field(default_factory=Faults)

    @property
    def origin(self) -> str:
        """File and table."""
        return f"{self.path}::{self.table}"

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names without the compartment's prefix."""
        own = [name for name in self.source_columns if name != "TableNumber"]
        plain = [name.removeprefix(f"{self.compartment}_") for name in own]
        if "ObjectNumber" in plain:
            return tuple(plain)
        # `Per_Cells` keeps the number as Cells_Number_Object_Number only.
        return (*plain, "ObjectNumber")

    def frames(self, *, in_order: bool = False) -> Iterator[pl.DataFrame]:
        """Rows as frames; `in_order` lets SQLite sort, on disk where it must."""
        own = [name for name in self.source_columns if name != "TableNumber"]
        if len(own) > _MOST_COLUMNS:
            raise ImportSourceError(
                self.path, f"table {self.table} has over {_MOST_COLUMNS} columns"
            )
        paired = self.image_numbers is not None
        selected = ", ".join(map(_quoted, ["TableNumber", *own] if paired else own))
        keys = [
            name
            for name in ("TableNumber", "ImageNumber", self._number)
            if name in self.source_columns
        ]
        order = f" order by {', '.join(map(_quoted, keys))}" if in_order else ""
        with opened(self.path) as connection:
            cursor = connection.execute(f"select {selected} from {_quoted(self.table)}{order}")
            while rows := cursor.fetchmany(_ROWS):
                yield self._frame(rows, own, paired)

    @property
    def _number(self) -> str:
        if "ObjectNumber" in self.source_columns:
            return "ObjectNumber"
        return f"{self.compartment}_Number_Object_Number"

    def _frame(self, rows: list[tuple[object, ...]], own: list[str], paired: bool) -> pl.DataFrame:
        columns = list(zip(*rows, strict=True))
        tables = columns.pop(0) if paired else None
        series: dict[str, pl.Series] = {}
        for source, values in zip(own, columns, strict=True):
            plain = source.removeprefix(f"{self.compartment}_")
            name = placed_name(self.compartment, plain)
            series.setdefault(name, self._numbers(name, values, exact=not is_feature(plain)))
            if source == self._number and source != "ObjectNumber":
                series.setdefault("object", series[name].alias("object"))
        if tables is not None and self.image_numbers is not None:
            pairs = zip(tables, columns[own.index("ImageNumber")], strict=True)
            # Images that no row of the image table names come last, below zero.
            numbers = [self.image_numbers.get((str(t), whole(i)), -1) for t, i in pairs]
            series[IMAGE] = pl.Series(IMAGE, numbers, dtype=pl.Int64)
        return typed(pl.DataFrame(list(series.values())))

    def _numbers(self, name: str, values: tuple[object, ...], *, exact: bool) -> pl.Series:
        dtype = pl.Float64 if exact else pl.Float32
        try:
            return pl.Series(name, values, dtype=pl.Float64, strict=True).cast(dtype)
        except (TypeError, pl.exceptions.PolarsError):
            read = [_number(value) for value in values]
        given = sum(value is not None for value in values)
        bad = given - sum(value is not None for value in read)
        if given and bad == given:
            self.faults.text_columns.add(name)
        elif bad:
            self.faults.not_numbers[name] += bad
        return pl.Series(name, read, dtype=pl.Float64).cast(dtype)


def compartment_tables(tables: Mapping[str, list[str]]) -> dict[str, str]:
    """Object tables of a database: compartment to table; those with an image and object number."""
    found = {}
    for table, columns in tables.items():
        name = re.sub(r"^(?:\w+_)?Per_", "", table)
        has_number = "ObjectNumber" in columns or f"{name}_Number_Object_Number" in columns
        if "ImageNumber" in columns and has_number and name not in ("Image", "Object"):
            found[name] = table
    return found


def image_table(tables: Mapping[str, list[str]]) -> str | None:
    """Name of the table with a row per image."""
    return next((t for t in tables if t == "Image" or re.fullmatch(r"(?:\w+_)?Per_Image", t)), None)


def image_rows(path: Path, table: str, columns: list[str]) -> pl.DataFrame:
    """Rows of the image table as text: image and table number, metadata and file names."""
    wanted = [
        name
        for name in columns
        if name in ("TableNumber", "ImageNumber") or "Metadata_" in name or "FileName_" in name
    ]
    with opened(path) as connection:
        cursor = connection.execute(
            f"select {', '.join(map(_quoted, wanted))} from {_quoted(table)}"
        )
        rows = cursor.fetchall()
    return pl.DataFrame(
        {
            name: [None if row[i] is None else str(row[i]) for row in rows]
            for i, name in enumerate(wanted)
        },
        schema=dict.fromkeys(wanted, pl.String),
    )


def whole(value: object) -> int:
    """An image number; -1 for what is none."""
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return -1


def _number(value: object) -> float | None:
    try:
        return None if value is None else float(str(value))
    except ValueError:
        return None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
