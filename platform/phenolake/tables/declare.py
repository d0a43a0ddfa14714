"""What a table is: a value from which schemas, UI columns, checks, dbt sources and docs derive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa


class Layer(StrEnum):
    """The four SQL schemas of the lake."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    MARTS = "marts"


@dataclass(frozen=True)
class Column:
    """One declared column; `unit` is empty for names, counts without a unit and ratios."""

    name: str
    dtype: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = True


@dataclass(frozen=True)
class Features:
    """The open part of a wide table: any column named `<Compartment>_<Family>_...`."""

    dtype: pa.DataType
    meaning: str


@dataclass(frozen=True)
class Table:
    """One Delta table. `partition_by` columns are written once per commit; `key` is unique."""

    name: str
    layer: Layer
    grain: str
    key: tuple[str, ...]
    partition_by: tuple[str, ...]
    columns: tuple[Column, ...]
    features: Features | None = None
    free_metadata: bool = False
    version: int = 1

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the declared columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return the declared column of that name; `KeyError` if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def accepts(self, name: str) -> bool:
        """Tell whether a column of this name may be in the table."""
        if name in self.column_names:
            return True
        if name.startswith("Metadata_"):
            return self.free_metadata
        return self.features is not None

    def arrow_schema(self, extra: Iterable[pa.Field] = ()) -> pa.Schema:
        """Arrow schema of the declared columns, then `extra` feature or free columns."""
        fields = [
            pa.field(
                c.name,
                c.dtype,
                nullable=c.nullable,
                metadata={"meaning": c.meaning, "unit": c.unit}
                if c.unit
                else {"meaning": c.meaning},
            )
            for c in self.columns
        ]
        return pa.schema([*fields, *extra])
