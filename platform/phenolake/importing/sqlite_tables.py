"""CellProfiler databases: `Image, Cells, ...` of cytominer-database and `Per_Image, Per_Cells, ...`."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import numpy as np
import polars as pl
import pyarrow as pa

from phenolake.errors import ImportSourceError
from phenolake.importing.csv_blocks import Faults
from phenolake.importing.keyed_rows import IMAGE, OBJECT, KeyedRows
from phenolake.importing.object_tables import is_feature, placed_name
from phenolake.importing.sorted_rows import sorted_by_image

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

    def frames(self, *, in_order: bool = False) -> Iterator[KeyedRows]:
        """Rows in pieces; `in_order` sorts, through temporary files of the size of the numbers.

        SQL can't sort: images are numbered anew where several tables were put together.
        """
        try:
            yield from sorted_by_image(self._frames()) if in_order else self._frames()
        except OSError as error:
            raise ImportSourceError(
                self.path, f"can't be sorted in {tempfile.gettempdir()}: {error.strerror}"
            ) from error

    def _frames(self) -> Iterator[KeyedRows]:
        own = [name for name in self.source_columns if name != "TableNumber"]
        if len(own) > _MOST_COLUMNS:
            raise ImportSourceError(
                self.path, f"table {self.table} has over {_MOST_COLUMNS} columns"
            )
        selected = own if self.image_numbers is None else ["TableNumber", *own]
        query = f"select {', '.join(map(_quoted, selected))} from {_quoted(self.table)}"
        with opened(self.path) as connection:
            cursor = connection.execute(query)
            while rows := cursor.fetchmany(_ROWS):
                yield self._typed(rows, own)

    @property
    def _number(self) -> str:
        if "ObjectNumber" in self.source_columns:
            return "ObjectNumber"
        return f"{self.compartment}_Number_Object_Number"

    def _typed(self, rows: list[tuple[object, ...]], own: list[str]) -> KeyedRows:
        tables: list[object] = []
        if self.image_numbers is not None:
            tables, rows = [row[0] for row in rows], [row[1:] for row in rows]
        values, missing = self._numbers(rows, own)
        columns: dict[str, pa.Array] = {}
        for place, source in enumerate(own):
            plain = source.removeprefix(f"{self.compartment}_")
            name = placed_name(self.compartment, plain)
            typed = _floats if is_feature(plain) else _wholes
            columns.setdefault(name, typed(values[place], missing[place]))
            if source == self._number and source != "ObjectNumber":
                columns.setdefault(OBJECT, columns[name])
        if self.image_numbers is not None:
            pairs = zip(tables, (row[own.index("ImageNumber")] for row in rows), strict=True)
            # Images that no row of the image table names come last, below zero.
            numbers = [self.image_numbers.get((str(t), whole(i)), -1) for t, i in pairs]
            columns[IMAGE] = pa.array(numbers, pa.int64())
        return KeyedRows.of(pa.table(columns))

    def _numbers(
        self, rows: list[tuple[object, ...]], own: list[str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values by column and row, float64, and which of them are null."""
        try:
            values = np.ascontiguousarray(np.array(rows, np.float64).T)
        except (TypeError, ValueError, OverflowError):
            values = np.full((len(own), len(rows)), np.nan)
        missing = np.zeros(values.shape, bool)
        # numpy takes nulls for NaN and gives up at the first text: look at such columns one by one.
        for place in np.flatnonzero(np.isnan(values).any(axis=1)):
            column = [row[place] for row in rows]
            read = [_number(value) for value in column]
            missing[place] = [value is None for value in read]
            values[place] = [np.nan if value is None else value for value in read]
            given = sum(value is not None for value in column)
            self._note(own[place], given, given - sum(value is not None for value in read))
        return values, missing

    def _note(self, source: str, given: int, bad: int) -> None:
        name = placed_name(self.compartment, source.removeprefix(f"{self.compartment}_"))
        if given and bad == given:
            self.faults.text_columns.add(name)
        elif bad:
            self.faults.not_numbers[name] += bad


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


def _floats(values: np.ndarray, missing: np.ndarray) -> pa.Array:
    with np.errstate(over="ignore"):
        return pa.array(values.astype(np.float32), mask=missing)


def _wholes(values: np.ndarray, missing: np.ndarray) -> pa.Array:
    numbers = pl.Series(np.where(missing, np.nan, values), nan_to_null=True)
    return numbers.cast(pl.Int64, strict=False).to_arrow()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
