"""Join compartments into one row per cell, streamed image by image.

Objects belong together by CellProfiler's `Parent_<compartment>` numbers, else by object number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from phenolake.errors import ImportSourceError
from phenolake.importing.keyed_rows import (
    IMAGE,
    OBJECT,
    KeyedRows,
    beside,
    concatenated,
    parent_column,
)
from phenolake.importing.object_tables import ObjectTable

#: The table whose rows are the cells: the first of these that an export has.
LEADING = ("Cells", "Nuclei")

Unmatched = Literal["report", "keep"]

#: Name of an object's number in the lake.
OBJECT_NUMBER = "Metadata_ObjectNumber"

_LINK, _ROW = "_link", "_row"


class OutOfOrderError(Exception):
    """A table's rows are not in image order; read it again sorted."""


@dataclass
class JoinReport:
    """Objects that found no partner, by compartment and image; and tables that ended too early."""

    without_cell: dict[str, dict[int, list[int]]] = field(default_factory=dict)
    without_part: dict[str, dict[int, list[int]]] = field(default_factory=dict)
    doubled: dict[str, int] = field(default_factory=dict)
    unlisted: dict[str, dict[int, int]] = field(default_factory=dict)
    broken: list[tuple[ImportSourceError, int | None]] = field(default_factory=list)


def leading_compartment(names: list[str]) -> str:
    """The compartment whose objects are the cells."""
    return next((name for name in LEADING if name in names), names[0])


def joined_cells(
    tables: Mapping[str, ObjectTable],
    images: set[int],
    report: JoinReport,
    unmatched: Unmatched = "report",
    *,
    in_order: bool = False,
) -> Iterator[KeyedRows]:
    """Rows with `image`, Metadata_ObjectNumber and the columns of every compartment.

    A cell without a nucleus keeps its row, with nulls. Objects without a cell are reported; with
    `unmatched="keep"` they get rows numbered after the cells of their image. Rows of images that
    are not in `images` are counted and left out. Memory holds some blocks of each table.

    Raises
    ------
    OutOfOrderError
        If a table is not in image order and `in_order` is not set.
    """
    leader = leading_compartment(list(tables))
    cursors = {
        name: _Cursor(table.frames(in_order=in_order), report) for name, table in tables.items()
    }
    while True:
        for cursor in cursors.values():
            if cursor.is_empty:
                cursor.fill()
        limit = min(cursor.limit for cursor in cursors.values())
        if limit == -math.inf:
            return  # a table is broken from its start
        parts = {name: cursor.take(limit) for name, cursor in cursors.items()}
        if any(part is not None for part in parts.values()):
            listed = {n: _listed(part, n, images, report) for n, part in parts.items()}
            cells = _joined(leader, listed, report, unmatched)
            if cells is not None:
                yield cells
        at_limit = [cursor for cursor in cursors.values() if cursor.limit == limit]
        if limit == math.inf or any(cursor.is_broken for cursor in at_limit):
            return
        for cursor in at_limit:
            if not cursor.is_empty:
                cursor.fill()


class _Cursor:
    """The rows of one table that have been read and not yet used."""

    def __init__(self, frames: Iterator[KeyedRows], report: JoinReport) -> None:
        self._frames = frames
        self._report = report
        self._rows: list[KeyedRows] = []
        self._last: float = -math.inf
        self._ended = False
        self.is_broken = False

    @property
    def is_empty(self) -> bool:
        return not self._rows

    @property
    def limit(self) -> float:
        """Images below this number have been read completely."""
        return math.inf if self._ended and not self.is_broken else self._last

    def fill(self) -> None:
        """Read one more block."""
        while not self._ended:
            try:
                frame = next(self._frames, None)
            except ImportSourceError as error:
                self._ended = self.is_broken = True
                self._report.broken.append(
                    (error, None if math.isinf(self._last) else int(self._last))
                )
                return
            if frame is None:
                self._ended = True
                return
            frame = frame.with_numbers()
            if frame.height == 0:
                continue
            numbers = frame.keys[IMAGE]
            if numbers[0] < self._last or not numbers.is_sorted():
                raise OutOfOrderError
            self._last = float(numbers[-1])
            self._rows.append(frame)
            return

    def take(self, limit: float) -> KeyedRows | None:
        """Remove and return the rows of images below the limit."""
        taken, kept = [], []
        for frame in self._rows:
            at = frame.height if limit == math.inf else _first_at(frame, int(limit))
            if at:
                taken.append(frame.slice(0, at))
            if at < frame.height:
                kept.append(frame.slice(at))
        self._rows = kept
        return concatenated(taken) if taken else None


def _first_at(frame: KeyedRows, image: int) -> int:
    """Position of the first row of an image, or of where it would be."""
    return int(frame.keys[IMAGE].search_sorted(image))


def _listed(
    part: KeyedRows | None, name: str, images: set[int], report: JoinReport
) -> KeyedRows | None:
    """Rows of listed images, one per object."""
    if part is None:
        return None
    numbers = part.keys[IMAGE]
    found = numbers.unique()
    unknown = found.filter([number not in images for number in found])
    if unknown.len():
        is_unknown = numbers.is_in(unknown.implode())
        counts = numbers.filter(is_unknown).value_counts()
        report.unlisted.setdefault(name, {}).update(dict(counts.iter_rows()))
        part = part.filter(~is_unknown)
    kept = part.keys.select(IMAGE, OBJECT).to_struct().is_first_distinct()
    if not kept.all():
        report.doubled[name] = report.doubled.get(name, 0) + int((~kept).sum())
        part = part.filter(kept)
    return part if part.height else None


def _joined(
    leader: str, parts: Mapping[str, KeyedRows | None], report: JoinReport, unmatched: Unmatched
) -> KeyedRows | None:
    """One row per object of the leading compartment, and kept nuclei after them."""
    cells = parts[leader]
    keys = cells.keys if cells is not None else None
    values = [cells.values] if cells is not None else []
    kept = None
    for name, part in parts.items():
        if name == leader or part is None:
            continue
        strangers = part
        if keys is not None:
            own, strangers = _attached(keys, part, leader, name, report)
            keys = keys.hstack(_own_names(own, name).keys.drop(IMAGE, OBJECT))
            values.append(own.values)
        if strangers.height:
            _note(report.without_cell, name, strangers.keys)
            if unmatched == "keep" and name == "Nuclei":
                kept = _own_names(strangers, name)
    rows = kept
    if keys is not None:
        # The wide columns are put side by side once.
        rows = _own_names(KeyedRows(keys, beside(*values)), leader)
        rows = rows if kept is None else _with_extra(rows, kept)
    return None if rows is None else rows.with_keys(rows.keys.rename({OBJECT: OBJECT_NUMBER}))


def _attached(
    cells: pl.DataFrame, part: KeyedRows, leader: str, name: str, report: JoinReport
) -> tuple[KeyedRows, KeyedRows]:
    """The part's rows in the order of the cells, and its objects that no cell claims."""
    to_part, to_cell = parent_column(name), parent_column(leader)
    left, right = OBJECT, OBJECT
    if to_part in cells.columns:
        left = to_part
    elif to_cell in part.keys.columns:
        right = to_cell
    on = [IMAGE, _LINK]
    linked = cells.select(IMAGE, pl.col(left).alias(_LINK))
    link = part.keys.select(IMAGE, pl.col(right).alias(_LINK))
    if linked.equals(link):
        return part, part.slice(0, 0)
    link = link.with_row_index(_ROW)
    one = link.unique(on, keep="first", maintain_order=True)
    if one.height < link.height:
        report.doubled[name] = report.doubled.get(name, 0) + link.height - one.height
    row = linked.join(one, on=on, how="left", maintain_order="left")[_ROW]
    if row.null_count():
        _note(report.without_part, name, cells.filter(row.is_null()))
    strangers = link.join(linked, on=on, how="anti", maintain_order="left")[_ROW]
    return part.take(row), part.take(strangers)


def _with_extra(cells: KeyedRows, extra: KeyedRows) -> KeyedRows:
    """Extra rows after the cells of their image, numbered on from the last of them."""
    last = cells.keys.group_by(IMAGE).agg(pl.col(OBJECT).max().alias("_last"))
    numbered = (
        extra.keys.join(last, on=IMAGE, how="left", maintain_order="left")
        .with_columns(pl.col("_last").fill_null(0) + pl.int_range(1, pl.len() + 1).over(IMAGE))
        .with_columns(pl.col("_last").alias(OBJECT))
        .drop("_last")
    )
    return concatenated([cells, extra.with_keys(numbered)]).sorted()


def _own_names(rows: KeyedRows, compartment: str) -> KeyedRows:
    """Links to parents under names that say whose they are."""
    return rows.with_keys(
        rows.keys.rename(
            {
                name: f"Metadata_{compartment}_Parent_{name.removeprefix('parent_')}"
                for name in rows.keys.columns
                if name.startswith("parent_")
            }
        )
    )


def _note(where: dict[str, dict[int, list[int]]], name: str, keys: pl.DataFrame) -> None:
    for image, numbers in keys.group_by(IMAGE, maintain_order=True).agg(OBJECT).iter_rows():
        where.setdefault(name, {}).setdefault(image, []).extend(numbers)
