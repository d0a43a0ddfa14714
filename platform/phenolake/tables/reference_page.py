"""`docs/tables.md`: every table and mart with its columns, written from their declarations.

Run `python -m phenolake.tables.reference_page docs/tables.md dbt/models/marts` after a change.
"""

from __future__ import annotations

import sys
from pathlib import Path

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
    parts = [_HEADER]
    for layer in (Layer.BRONZE, Layer.SILVER, Layer.GOLD):
        parts.append(f"## {layer.value}\n")
        parts += [_table(table) for table in TABLES.values() if table.layer is layer]
    parts.append("## marts\n")
    for file in sorted(marts.glob("*.yml")):
        for model in yaml.safe_load(file.read_text(encoding="utf-8"))["models"]:
            rows = [(c["name"], "", "", c.get("description", "")) for c in model["columns"]]
            words = " ".join(model["description"].split())
            parts.append(f"### {model['name']}\n\n{words}\n\n{_rows(rows)}")
    return "\n".join(parts)


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
        words = " ".join(meaning.split()).replace("|", "\\|")
        lines.append(f"| `{name}` | {dtype.replace('|', '/')} | {unit} | {words} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference_page(Path(sys.argv[2])), encoding="utf-8")
