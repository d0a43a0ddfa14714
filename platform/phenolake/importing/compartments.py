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
from phenolake.importing.object_tables import IMAGE, OBJECT, ObjectTable, parent_column

#: The table whose rows are the cells: the first of these that an export has.
LEADING = ("Cells", "Nuclei")

Unmatched = Literal["report", "keep"]

_LINK = "_link"


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
) -> Iterator[pl.DataFrame]:
    """Frames with `image`, Metadata_ObjectNumber and the columns of every compartment.

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

    def __init__(self, frames: Iterator[pl.DataFrame], report: JoinReport) -> None:
        self._frames = frames
        self._report = report
        self._rows: list[pl.DataFrame] = []
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
            if frame[IMAGE].null_count() or frame[OBJECT].null_count():
                frame = frame.drop_nulls((IMAGE, OBJECT))
            if frame.is_empty():
                continue
            numbers = frame[IMAGE]
            if numbers[0] < self._last or not numbers.is_sorted():
                raise OutOfOrderError
            self._last = float(numbers[-1])
            self._rows.append(frame)
            return

    def take(self, limit: float) -> pl.DataFrame | None:
        """Remove and return the rows of images below the limit."""
        taken, kept = [], []
        for frame in self._rows:
            at = frame.height if limit == math.inf else int(frame[IMAGE].search_sorted(int(limit)))
            if at:
                taken.append(frame.head(at))
            if at < frame.height:
                kept.append(frame.slice(at))
        self._rows = kept
        if not taken:
            return None
        return taken[0] if len(taken) == 1 else pl.concat(taken, how="diagonal")


def _listed(
    part: pl.DataFrame | None, name: str, images: set[int], report: JoinReport
) -> pl.DataFrame | None:
    """Rows of listed images, one per object."""
    if part is None:
        return None
    found = part[IMAGE].unique()
    unknown = found.filter([number not in images for number in found])
    if unknown.len():
        is_unknown = part[IMAGE].is_in(unknown.implode())
        counts = part.filter(is_unknown)[IMAGE].value_counts()
        report.unlisted.setdefault(name, {}).update(dict(counts.iter_rows()))
        part = part.filter(~is_unknown)
    kept = part.select(IMAGE, OBJECT).to_struct().is_first_distinct()
    if not kept.all():
        report.doubled[name] = report.doubled.get(name, 0) + int((~kept).sum())
        part = part.filter(kept)
    return part if part.height else None


def _joined(
    leader: str, parts: Mapping[str, pl.DataFrame | None], report: JoinReport, unmatched: Unmatched
) -> pl.DataFrame | None:
    """One row per object of the leading compartment, and kept nuclei after them."""
    cells = parts[leader]
    kept = None
    for name, part in parts.items():
        if name == leader or part is None:
            continue
        if cells is None:
            strangers = part
        else:
            cells, strangers = _attached(cells, part, leader, name, report)
        if strangers.height:
            _note(report.without_cell, name, strangers)
            if unmatched == "keep" and name == "Nuclei":
                kept = _own_names(strangers, name)
    if cells is not None:
        cells = _own_names(cells, leader)
    if kept is not None:
        cells = kept if cells is None else _with_extra(cells, kept)
    return None if cells is None else cells.rename({OBJECT: "Metadata_ObjectNumber"})


def _attached(
    cells: pl.DataFrame, part: pl.DataFrame, leader: str, name: str, report: JoinReport
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cells with the part's columns beside them, and the part's objects that no cell claims."""
    to_part, to_cell = parent_column(name), parent_column(leader)
    left, right = OBJECT, OBJECT
    if to_part in cells.columns:
        left = to_part
    elif to_cell in part.columns:
        right = to_cell
    link = part.with_columns(pl.col(right).alias(_LINK))
    linked = cells.with_columns(pl.col(left).alias(_LINK))
    on = [IMAGE, _LINK]
    columns = _own_names(link, name).drop(OBJECT)
    if linked.select(on).equals(link.select(on)):
        return cells.hstack(columns.drop(on)), part.clear()
    one = columns.unique(on, keep="first", maintain_order=True)
    if one.height < columns.height:
        report.doubled[name] = report.doubled.get(name, 0) + columns.height - one.height
    lacking = linked.join(one.select(on), on=on, how="anti", maintain_order="left")
    if lacking.height:
        _note(report.without_part, name, lacking)
    strangers = link.join(linked.select(on), on=on, how="anti", maintain_order="left").drop(_LINK)
    return linked.join(one, on=on, how="left", maintain_order="left").drop(_LINK), strangers


def _with_extra(cells: pl.DataFrame, extra: pl.DataFrame) -> pl.DataFrame:
    """Extra rows after the cells of their image, numbered on from the last of them."""
    last = cells.group_by(IMAGE).agg(pl.col(OBJECT).max().alias("_last"))
    numbered = (
        extra.join(last, on=IMAGE, how="left", maintain_order="left")
        .with_columns(pl.col("_last").fill_null(0) + pl.int_range(1, pl.len() + 1).over(IMAGE))
        .with_columns(pl.col("_last").alias(OBJECT))
        .drop("_last")
    )
    return pl.concat([cells, numbered], how="diagonal").sort(IMAGE, OBJECT)


def _own_names(frame: pl.DataFrame, compartment: str) -> pl.DataFrame:
    """Links to parents under names that say whose they are."""
    return frame.rename(
        {
            name: f"Metadata_{compartment}_Parent_{name.removeprefix('parent_')}"
            for name in frame.columns
            if name.startswith("parent_")
        }
    )


def _note(where: dict[str, dict[int, list[int]]], name: str, rows: pl.DataFrame) -> None:
    for image, numbers in rows.group_by(IMAGE, maintain_order=True).agg(OBJECT).iter_rows():
        where.setdefault(name, {}).setdefault(image, []).extend(numbers)
