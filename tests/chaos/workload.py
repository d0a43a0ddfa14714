"""A plate's run reduced to its writes: six tables, streamed and committed as the assets do.

Run as a script: workload.py URI PLATES GENERATION [READY]; prints `begun` and `done`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
import polars as pl
import pyarrow as pa

from phenolake.lake import Lake
from phenolake.tables import (
    NORMALIZED_PROFILES,
    OBJECTS,
    RAW_IMAGE_CATALOG,
    SEGMENTATION_MASKS,
    SINGLE_CELL_FEATURES,
    WELL_PROFILES,
    Table,
)

#: In the order of a plate's run.
TABLES = (
    RAW_IMAGE_CATALOG,
    SEGMENTATION_MASKS,
    OBJECTS,
    SINGLE_CELL_FEATURES,
    WELL_PROFILES,
    NORMALIZED_PROFILES,
)
ROWS = 96
FEATURES = 20
PARTS = 4


def where(plate: str) -> dict[str, str]:
    return {"Metadata_Screen": "chaos", "Metadata_Plate": plate}


def rows_of(table: Table, plate: str, generation: int) -> pl.DataFrame:
    """Rows with a unique key, the same for the same plate and generation."""
    seed = sha256(f"{table.name} {plate} {generation}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:8], "little"))
    columns = {
        column.name: _values(column.dtype, column.name in table.key, rng)
        for column in table.columns
        if column.name not in table.partition_by
    }
    if table.features is not None:
        columns |= {
            f"Cells_Chaos_Value_{number}": pa.array(rng.normal(size=ROWS), table.features.dtype)
            for number in range(FEATURES)
        }
    return pl.DataFrame(pa.table(columns))


def _values(dtype: pa.DataType, is_key: bool, rng: np.random.Generator) -> pa.Array:
    numbers = np.arange(ROWS) if is_key else rng.integers(0, 100, ROWS)
    if pa.types.is_string(dtype):
        return pa.array([f"v{number}" for number in numbers], dtype)
    if pa.types.is_binary(dtype):
        return pa.array([rng.bytes(64) for _ in numbers], dtype)
    if pa.types.is_boolean(dtype):
        return pa.array(numbers % 2 == 0, dtype)
    if pa.types.is_timestamp(dtype):
        return pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * ROWS, dtype)
    if pa.types.is_integer(dtype) or pa.types.is_floating(dtype):
        return pa.array(numbers).cast(dtype)
    return pa.nulls(ROWS, dtype)


def run_plate(lake: Lake, plate: str, generation: int) -> None:
    """Write the six tables of a plate, each streamed in parts."""
    for table in TABLES:
        parts: Iterator[pl.DataFrame] = rows_of(table, plate, generation).iter_slices(ROWS // PARTS)
        lake.write(table, parts, where(plate), run_id=f"generation {generation}")


def table_hash(rows: pl.DataFrame, table: Table) -> str:
    """Digest of a table's rows in key order, with columns by name."""
    keys = list(dict.fromkeys([*table.partition_by, *table.key]))
    ordered = rows.select(sorted(rows.columns)).sort(keys)
    return sha256(ordered.hash_rows(seed=1).to_numpy().tobytes()).hexdigest()[:16]


def main(uri: str, plates: str, generation: str) -> None:
    lake = Lake(uri)
    print("begun", flush=True)
    for plate in plates.split(","):
        run_plate(lake, plate, int(generation))
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
