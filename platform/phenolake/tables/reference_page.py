"""`docs/tables.md`: every table and mart with its columns, written from their declarations.

Run `python -m phenolake.tables.reference_page docs/tables.md dbt/models/marts` after a change.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

from phenolake.tables import TABLES
from phenolake.tables.declare import Layer, Table

_HEADER = """\
# Tables

Written by `python -m phenolake.tables.reference_page docs/tables.md dbt/models/marts` from the
declarations of the tables and the marts. Keys are the same everywhere; feature columns are named
as in [features](features.md).
"""


def reference_page(marts: Path) -> str:
    """Markdown: each table of each layer with grain, key, partition and columns; then the marts.

    Parameters
    ----------
    marts
        Folder with dbt's descriptions of the marts, `*.yml`.
    """
    parts = [_HEADER, _overview(marts)]
    for layer in (Layer.BRONZE, Layer.SILVER, Layer.GOLD):
        parts.append(f"## {layer.value}\n")
        parts += [_table(table) for table in TABLES.values() if table.layer is layer]
    parts.append("## marts\n")
    for model in _models(marts):
        rows = [(c["name"], "", "", c.get("description", "")) for c in model["columns"]]
        words = " ".join(model["description"].split())
        parts.append(f"### {model['name']}\n\n{words}\n\n{_rows(rows)}")
    return "\n".join(parts)


def _models(marts: Path) -> list[dict[str, Any]]:
    """Descriptions of the marts as dbt has them, in the order of the page."""
    files = sorted(marts.glob("*.yml"))
    return [m for f in files for m in yaml.safe_load(f.read_text(encoding="utf-8"))["models"]]


def _overview(marts: Path) -> str:
    """A line per table and mart, linked to its section."""
    rows = [(table.layer.value, table.name, table.grain) for table in TABLES.values()]
    for model in _models(marts):
        first = " ".join(model["description"].split()).split(". ")[0].removesuffix(".")
        rows.append(("marts", model["name"], f"{first[0].lower()}{first[1:]}"))
    lines = [f"| [{layer}.{name}](#{name}) | {cell(grain)} |" for layer, name, grain in rows]
    return "\n".join(["| table | rows |", "| --- | --- |", *lines, ""])


def _table(table: Table) -> str:
    rows = [(c.name, str(c.dtype), c.unit, c.meaning) for c in table.columns]
    if table.features is not None:
        rows.append(
            ("<Compartment>_<Family>_...", str(table.features.dtype), "", table.features.meaning)
        )
    written = ", ".join(table.partition_by)
    about = f"{table.grain[0].upper()}{table.grain[1:]}. Key: {', '.join(table.key)}."
    return f"### {table.name}\n\n{about} Written at once: {written}.\n\n{_rows(rows)}"


def _rows(rows: list[tuple[str, str, str, str]]) -> str:
    lines = ["| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
    for name, dtype, unit, meaning in rows:
        lines.append(f"| `{name}` | {dtype.replace('|', '/')} | {unit} | {cell(meaning)} |")
    return "\n".join(lines) + "\n"


def cell(words: str) -> str:
    """Words for one cell of a Markdown table; outside of code `|` and `<` stand for themselves."""
    one_line = " ".join(words.split())
    return re.sub(r"`[^`]*`|[|<]", lambda m: m[0] if m[0][0] == "`" else f"\\{m[0]}", one_line)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference_page(Path(sys.argv[2])), encoding="utf-8")
