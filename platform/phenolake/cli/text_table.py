"""Rows as text for a terminal: a table, or a block per row where a table would not fit."""

from __future__ import annotations

import shutil

import polars as pl

_MOST_ROWS = 100
_MOST_BLOCKS = 20
_LONGEST = 60


def table_of(rows: pl.DataFrame, width: int | None = None) -> str:
    """Text of rows; columns that don't fit side by side are written below each other.

    Parameters
    ----------
    rows
        Of more than 100 the first and last are written; of wide ones the first 20.
    width
        Characters of a line; default: those of the terminal.
    """
    width = width or shutil.get_terminal_size((160, 24)).columns
    if rows.width and _width(rows) > width:
        return _blocks(rows)
    with pl.Config(
        tbl_rows=_MOST_ROWS,
        tbl_cols=-1,
        tbl_hide_dataframe_shape=rows.height <= _MOST_ROWS,
        tbl_hide_column_data_types=True,
        tbl_width_chars=width,
        fmt_str_lengths=_LONGEST,
        float_precision=4,
    ):
        return f"{rows}\n"


def _width(rows: pl.DataFrame) -> int:
    """Characters a table of these rows takes."""
    shown = rows.head(_MOST_ROWS)
    longest = [max([len(c.name), *(len(_word(v)) for v in c)]) for c in shown.get_columns()]
    return sum(min(length, _LONGEST) + 3 for length in longest) + 1


def _blocks(rows: pl.DataFrame) -> str:
    names = rows.columns
    space = max(map(len, names))
    lines = []
    for number, row in enumerate(rows.head(_MOST_BLOCKS).iter_rows(), start=1):
        lines.append(f"-- row {number} of {rows.height}")
        lines += [
            f"{name:>{space}}  {_word(value)}" for name, value in zip(names, row, strict=True)
        ]
    if not rows.height:
        lines.append(f"no rows; columns: {', '.join(names)}")
    elif rows.height > _MOST_BLOCKS:
        lines.append(f"-- {rows.height - _MOST_BLOCKS} more rows; --format csv writes all")
    return "\n".join(lines) + "\n"


def _word(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return str(value)
