"""Dagster's Columns tab and asset metadata, derived from the table declarations."""

from __future__ import annotations

from typing import Any

import dagster as dg

from phenolake.tables import Table


def table_metadata(table: Table) -> dict[str, Any]:
    """Column schema, grain and key of a table, as an asset's metadata."""
    columns = [
        dg.TableColumn(
            column.name,
            type=str(column.dtype),
            description=f"{column.meaning} [{column.unit}]" if column.unit else column.meaning,
            constraints=dg.TableColumnConstraints(nullable=column.nullable),
        )
        for column in table.columns
    ]
    if table.features is not None:
        columns.append(
            dg.TableColumn(
                "<Compartment>_<Family>_...",
                type=str(table.features.dtype),
                description=table.features.meaning,
            )
        )
    return {
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "dagster/table_name": f"{table.layer}.{table.name}",
        "grain": table.grain,
        "key": ", ".join(table.key),
    }
