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

#: The schema `lineage` for dbt: who wrote which part of each declared table, when, from what.
TABLE_COMMITS = Table(
    "table_commits",
    Layer.GOLD,
    grain="one row per table and version",
    key=("table_name", "version"),
    partition_by=(),
    columns=(
        Column("layer", pa.string(), "schema of the table", nullable=False),
        Column("table_name", pa.string(), "name of the table", nullable=False),
        Column("version", pa.int64(), "version of the Delta table", nullable=False),
        Column("committed_at", pa.timestamp("ms", tz="UTC"), "when it was written"),
        Column("Metadata_Screen", pa.string(), "screen that was written; null: the whole table"),
        Column("Metadata_Plate", pa.string(), "plate that was written; null: the whole screen"),
        Column("rows", pa.int64(), "rows written"),
        Column("operation", pa.string(), "write, restore or migrate; compact and vacuum only tidy"),
        Column("is_current", pa.bool_(), "it wrote what the part holds now", nullable=False),
        Column("run_id", pa.string(), "Dagster run"),
        Column("code_version", pa.string(), "version of Phenolake"),
        Column("parameters", pa.string(), "parameters of the step, as JSON"),
        Column("inputs", pa.string(), "versions of the tables that were read, as JSON"),
    ),
)

#: Tables made for dbt alone, and the asset each is made from; of the log it is no single one.
FOR_DBT = {READOUT_VALUES: "normalized_profiles", TABLE_COMMITS: "table_commits"}

_HEADER = """\
# Written by `python -m phenolake.tables.dbt_sources`; change the table declarations instead.
"""


def sources_yaml() -> str:
    """Text of `sources.yml`: one dbt source per layer, each table with its columns and meaning."""
    tables = (*TABLES.values(), *FOR_DBT)
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
        **({"data_tests": [key_test]} if table in FOR_DBT else {}),
        "columns": [
            {"name": column.name, "description": _meaning(column), "data_type": str(dtype).lower()}
            for column, dtype in zip(table.columns, dtypes, strict=True)
        ],
    }


def _meaning(column: Column) -> str:
    return f"{column.meaning} [{column.unit}]" if column.unit else column.meaning


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(sources_yaml(), encoding="utf-8")
