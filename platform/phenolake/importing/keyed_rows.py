"""Rows of one compartment: a narrow frame of keys to reason with, beside the wide rest in Arrow.

Joins and sorts work on the keys; a thousand columns are touched only where rows really move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

IMAGE, OBJECT = "image", "object"

_PARENT = "parent_"


def parent_column(compartment: str) -> str:
    """Column that holds the number of the parent object."""
    return f"{_PARENT}{compartment}"


def is_key(name: str) -> bool:
    """Tell a column of `keys` from one of `values`."""
    return name in (IMAGE, OBJECT) or name.startswith(_PARENT)


@dataclass(frozen=True)
class KeyedRows:
    """`keys` are image, object and parent_<compartment> (int64); `values` has the same rows."""

    keys: pl.DataFrame
    values: pa.Table

    @classmethod
    def of(cls, table: pa.Table) -> KeyedRows:
        """Split a table by the names of its columns."""
        keys = [name for name in table.column_names if is_key(name)]
        frame = pl.DataFrame(pl.from_arrow(table.select(keys)))
        return cls(frame, table.drop_columns(keys))

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.keys.height

    def table(self) -> pa.Table:
        """Keys and values side by side."""
        return beside(self.keys.to_arrow(), self.values)

    def drop(self, names: Sequence[str]) -> KeyedRows:
        """The rows without these columns, where there are such."""
        here = [name for name in self.values.column_names if name in names]
        return KeyedRows(self.keys.drop(names, strict=False), self.values.drop_columns(here))

    def with_keys(self, keys: pl.DataFrame) -> KeyedRows:
        """The same values under other keys."""
        return KeyedRows(keys, self.values)

    def slice(self, start: int, length: int | None = None) -> KeyedRows:
        """Consecutive rows, without a copy."""
        return KeyedRows(self.keys.slice(start, length), self.values.slice(start, length))

    def take(self, rows: pl.Series) -> KeyedRows:
        """Rows by their positions; keys and values are null where a position is null."""
        places = pa.array(rows.to_numpy(), pa.int64(), mask=rows.is_null().to_numpy())
        if rows.null_count():
            keys = pl.DataFrame({c.name: c.gather(rows) for c in self.keys})
        else:
            keys = self.keys[rows.to_numpy()]
        values = self.values
        if values.num_columns:
            values = values.combine_chunks().take(places)
        return KeyedRows(keys, values)

    def filter(self, wanted: pl.Series) -> KeyedRows:
        """Rows where `wanted` is true; the rows themselves where it is true of all."""
        if wanted.all(ignore_nulls=False):
            return self
        return self.take(pl.Series(np.flatnonzero(wanted.fill_null(False).to_numpy())))

    def with_numbers(self) -> KeyedRows:
        """Rows that have an image and an object number."""
        given = pl.col(IMAGE).is_not_null() & pl.col(OBJECT).is_not_null()
        return self.filter(self.keys.select(given).to_series())

    def sorted(self) -> KeyedRows:
        """Rows by image and object; equal ones stay in order."""
        order = self.keys.select(pl.arg_sort_by(IMAGE, OBJECT, maintain_order=True)).to_series()
        return self.take(order)


def concatenated(parts: Sequence[KeyedRows]) -> KeyedRows:
    """Rows of all parts, one after another; a column that a part lacks is null there."""
    if len(parts) == 1:
        return parts[0]
    return KeyedRows(
        pl.concat([part.keys for part in parts], how="diagonal"),
        pa.concat_tables([part.values for part in parts], promote_options="default"),
    )


def beside(*tables: pa.Table) -> pa.Table:
    """Tables of as many rows as one; those without columns may have lost their rows."""
    return pa.Table.from_arrays(
        [column for table in tables for column in table.columns],
        names=[name for table in tables for name in table.column_names],
    )
