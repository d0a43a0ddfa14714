"""Plate maps drawn as grids: row letters down, column numbers across, one grid per variable."""

from __future__ import annotations

import re
from collections.abc import Sequence

from phenolake.identity import Well, row_letters

Rows = Sequence[Sequence[str]]

#: Columns of the plate formats; a header that counts to one of these starts a grid.
_WIDTHS = (48, 24, 12, 8, 6, 4, 3)
_PLAIN_SHEETS = re.compile(r"(sheet|tabelle|feuil|hoja)\s*\d*", re.IGNORECASE)


def grids(rows: Rows, title: str = "") -> dict[str, dict[Well, str]]:
    """Every grid of a sheet by its variable: the corner's text, the line above, or the sheet's `title`.

    Blank cells are left out; an unnamed first grid is `perturbation`. Empty if there is no grid.
    """
    found: dict[str, dict[Well, str]] = {}
    line = 0
    while line < len(rows) - 1:
        start = _header(rows[line])
        if start is None or _cell(rows[line + 1], start).upper() != "A":
            line += 1
            continue
        name = _name(rows, line, start) or ("" if _PLAIN_SHEETS.fullmatch(title) else title)
        name = name or ("perturbation" if not found else f"value_{len(found) + 1}")
        cells, line = _cells(rows, line, start)
        found.setdefault(name, {}).update(cells)
    return found


def _header(row: Sequence[str]) -> int | None:
    """Where the row letters stand, if a row counts 1, 2, 3, ... to a plate's width."""
    for start in range(min(len(row), 8)):
        numbers = 0
        while _number(_cell(row, start + 1 + numbers)) == numbers + 1:
            numbers += 1
        if numbers in _WIDTHS:
            return start
    return None


def _cells(rows: Rows, header: int, start: int) -> tuple[dict[Well, str], int]:
    """Filled cells below a header, and the line after the last row letter."""
    columns = max(n for n in range(49) if n == 0 or _number(_cell(rows[header], start + n)) == n)
    cells: dict[Well, str] = {}
    row = 1
    while header + row < len(rows) and row <= 32:
        line = rows[header + row]
        if _cell(line, start).upper() != row_letters(row):
            break
        for column in range(1, columns + 1):
            if value := _cell(line, start + column):
                cells[Well(row, column)] = value
        row += 1
    return cells, header + row


def _name(rows: Rows, header: int, start: int) -> str:
    if corner := _cell(rows[header], start):
        return corner
    above = [cell.strip() for cell in rows[header - 1] if cell.strip()] if header else []
    return above[0] if len(above) == 1 else ""


def _cell(row: Sequence[str], index: int) -> str:
    return row[index].strip() if index < len(row) else ""


def _number(text: str) -> int | None:
    text = text.removesuffix(".0")
    return int(text) if text.isdecimal() and len(text) <= 2 else None
