"""Bring rows to the declared columns and types of a table, or say which column does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc

from phenolake.errors import TableSchemaError
from phenolake.tables import Table


def conform(
    rows: pa.Table, table: Table, where: Mapping[str, str], known: Mapping[str, pa.DataType]
) -> pa.Table:
    """Rows with the declared columns first, in order and type, then the other accepted columns.

    Parameters
    ----------
    rows
        May lack partition columns and nullable columns.
    where
        Value of every partition column.
    known
        Types that undeclared columns already have in the lake.

    Raises
    ------
    TableSchemaError
        Names the first column that is unknown, missing, of another type, or holds nulls or
        another partition where it must not.
    """
    _check_names(rows.column_names, table, known)
    arrays: list[pa.ChunkedArray | pa.Array] = []
    fields: list[pa.Field] = []
    positions = {name: index for index, name in enumerate(rows.column_names)}
    for column in table.columns:
        name, dtype = column.name, column.dtype
        if name in where:
            if name in positions:
                _check_partition(rows.column(positions[name]), table, name, where[name])
            values = pa.repeat(pa.scalar(where[name], dtype), rows.num_rows)
        elif name in positions:
            values = _cast(rows.column(positions[name]), dtype, table, name)
            if not column.nullable and values.null_count:
                raise TableSchemaError(
                    table.name, f"column {name!r} must not be null; {values.null_count} rows are"
                )
        elif column.nullable:
            values = pa.nulls(rows.num_rows, dtype)
        else:
            raise TableSchemaError(table.name, f"column {name!r} is missing and must not be null")
        arrays.append(values)
        fields.append(pa.field(name, dtype))
    declared = frozenset(table.column_names)
    for name, index in positions.items():
        if name not in declared:
            source = rows.column(index)
            dtype = _undeclared_type(name, source.type, table, known)
            arrays.append(_cast(source, dtype, table, name))
            fields.append(pa.field(name, dtype))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def storable_type(dtype: pa.DataType) -> pa.DataType:
    """Nearest type that Delta can store: no unsigned, dictionary, large or view types."""
    plain = {
        pa.large_string(): pa.string(),
        pa.string_view(): pa.string(),
        pa.null(): pa.string(),
        pa.large_binary(): pa.binary(),
        pa.binary_view(): pa.binary(),
        pa.uint8(): pa.int16(),
        pa.uint16(): pa.int32(),
        pa.uint32(): pa.int64(),
        pa.uint64(): pa.int64(),
        pa.float16(): pa.float32(),
        pa.date64(): pa.date32(),
    }
    if dtype in plain:
        return plain[dtype]
    if pa.types.is_dictionary(dtype):
        return storable_type(dtype.value_type)
    if pa.types.is_timestamp(dtype):
        return pa.timestamp("us", tz="UTC")
    if (
        pa.types.is_list(dtype)
        or pa.types.is_large_list(dtype)
        or pa.types.is_fixed_size_list(dtype)
    ):
        return pa.list_(storable_type(dtype.value_type))
    if pa.types.is_struct(dtype):
        return pa.struct([pa.field(f.name, storable_type(f.type)) for f in dtype])
    if pa.types.is_map(dtype):
        return pa.map_(storable_type(dtype.key_type), storable_type(dtype.item_type))
    return dtype


def storable(rows: pa.Table, name: str) -> pa.Table:
    """Cast an undeclared table to types that Delta can store."""
    _check_twins(rows.column_names, name)
    arrays = [
        _cast(column, storable_type(column.type), name, column_name)
        for column_name, column in zip(rows.column_names, rows.columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=rows.column_names)


def _undeclared_type(
    name: str, dtype: pa.DataType, table: Table, known: Mapping[str, pa.DataType]
) -> pa.DataType:
    if table.features is not None and not name.startswith("Metadata_"):
        return table.features.dtype
    return known.get(name) or storable_type(dtype)


def _cast(
    values: pa.ChunkedArray, dtype: pa.DataType, table: Table | str, name: str
) -> pa.ChunkedArray:
    if values.type == dtype:
        return values
    try:
        if pa.types.is_dictionary(values.type):
            decoded = [c.dictionary.cast(dtype).take(c.indices) for c in values.chunks]
            return pa.chunked_array(decoded, dtype)
        # To a float, rounding is meant; to anything else, a changed value is an error.
        return values.cast(dtype, safe=not pa.types.is_floating(dtype))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise TableSchemaError(
            table if isinstance(table, str) else table.name,
            f"column {name!r} is {values.type} and does not fit {dtype} ({error})",
        ) from error


def _check_partition(values: pa.ChunkedArray, table: Table, name: str, expected: str) -> None:
    found = pc.unique(_cast(values, pa.string(), table, name)).to_pylist()
    others = [value for value in found if value != expected]
    if others:
        raise TableSchemaError(
            table.name,
            f"column {name!r} holds {others[0]!r}, but the partition written is {expected!r}",
        )


def _check_names(names: list[str], table: Table, known: Mapping[str, pa.DataType]) -> None:
    declared = frozenset(table.column_names)
    for name in names:
        if name not in declared and not table.accepts(name):
            close = get_close_matches(name, table.column_names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise TableSchemaError(table.name, f"unknown column {name!r}{hint}")
    if len(set(names)) < len(names):
        _check_twins(names, table.name)
    _check_twins({*table.column_names, *known, *names}, table.name)


def _check_twins(names: list[str] | set[str], table: str) -> None:
    """Refuse names that differ only in case: SQL engines take them for one."""
    if len({name.lower() for name in names}) == len(names):
        return
    seen: dict[str, str] = {}
    for name in sorted(names):
        if name.lower() in seen:
            twin = seen[name.lower()]
            raise TableSchemaError(table, f"columns {twin!r} and {name!r} are the same name in SQL")
        seen[name.lower()] = name
