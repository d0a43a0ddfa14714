"""dbt's `sources.yml`, written from the table declarations.

Run `python -m phenolake.tables.dbt_sources dbt/models/sources.yml` after changing a table.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import yaml

from phenolake.tables import TABLES, keys
from phenolake.tables.declare import Column, Layer, Table

#: A view of the SQL catalogue, not a Delta table: readout columns differ by screen, dbt's don't.
READOUT_VALUES = Table(
    "readout_values",
    Layer.GOLD,
    grain="one row per well and readout: the profile columns that judge a screen, made long",
    key=("Metadata_Screen", "Metadata_Plate", "Metadata_Well", "readout"),
    partition_by=(),
    columns=(
        keys.SCREEN,
        keys.BATCH,
        keys.PLATE,
        keys.WELL,
        *(column for column in keys.TREATMENT if column.name != "Metadata_CellLine"),
        keys.CELL_COUNT,
        Column("readout", pa.string(), "name of the profile column", nullable=False),
        Column("value", pa.float64(), "value of the column in the well's raw profile"),
        Column(
            "z_score",
            pa.float64(),
            "robust z of the well: distance from the median of the plate's negative controls",
            unit="MAD x 1.4826",
        ),
    ),
)

_HEADER = """\
# Written by `python -m phenolake.tables.dbt_sources`; change the table declarations instead.
"""


def sources_yaml() -> str:
    """Text of `sources.yml`: one dbt source per layer, each table with its columns and meaning."""
    tables = (*TABLES.values(), READOUT_VALUES)
    sources = [
        {
            "name": layer.value,
            "schema": layer.value,
            "tables": [_table(table) for table in tables if table.layer is layer],
        }
        for layer in (Layer.BRONZE, Layer.SILVER, Layer.GOLD)
    ]
    document = {"version": 2, "sources": sources}
    return _HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _table(table: Table) -> dict[str, object]:
    import duckdb

    # DuckDB itself says which SQL type each Arrow type becomes.
    dtypes = duckdb.from_arrow(table.arrow_schema().empty_table()).types
    # Keys of the Delta tables are checked where they are written, by the assets' checks.
    key_test = {"unique_combination": {"arguments": {"columns": list(table.key)}}}
    return {
        "name": table.name,
        "description": table.grain,
        **({"data_tests": [key_test]} if table is READOUT_VALUES else {}),
        "columns": [
            {"name": column.name, "description": _meaning(column), "data_type": str(dtype).lower()}
            for column, dtype in zip(table.columns, dtypes, strict=True)
        ],
    }


def _meaning(column: Column) -> str:
    return f"{column.meaning} [{column.unit}]" if column.unit else column.meaning


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(sources_yaml(), encoding="utf-8")
