"""Data of the profiling benchmark: the same draws as in the survey of peers it is compared with.

Made once per run as files, so that each library reads them in a process of its own.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl

WELLS = 384
_DISTINCT_PLATES = 10
WELL_NAMES = np.array([f"{chr(65 + i // 24)}{i % 24 + 1:02d}" for i in range(WELLS)])
#: Every sixth well is a control, the others hold a compound of their own.
COMPOUNDS = np.array(["DMSO" if i % 6 == 0 else f"cpd{i}" for i in range(WELLS)])


def cells(count: int, features: int) -> pl.DataFrame:
    """Single cells of one plate, float32 noise."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((count, features), dtype=np.float32)
    wells = rng.integers(0, WELLS, count)
    return pl.DataFrame(
        {"Metadata_Plate": ["P1"] * count, "Metadata_Well": WELL_NAMES[wells]}
        | _columns(values, "Cells_F{}")
    )


def profiles(plates: int, features: int) -> pl.DataFrame:
    """Wells of several plates; half of the features nearly repeat the others, some are constant."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal((plates * WELLS, features))
    values += rng.standard_normal((plates, features)).repeat(WELLS, 0)
    values *= rng.uniform(0.5, 2, features)
    half = features // 2
    values[:, half:] = values[:, : features - half] + 0.3 * values[:, half:]
    values[:, ::97] = 1.0
    return _plates(plates).hstack(pl.DataFrame(_columns(values, "Cells_F{}")))


def mixture(wells: int, dimensions: int, batches: int) -> pl.DataFrame:
    """Wells of 60 kinds in batches that shift them all alike; every eighth is a control."""
    rng = np.random.default_rng(0)
    batch = np.repeat(np.arange(batches), wells // batches)
    kind = rng.integers(0, 60, wells)
    values = rng.standard_normal((60, dimensions))[kind]
    values += 0.7 * rng.standard_normal((batches, dimensions))[batch]
    values += rng.standard_normal((wells, dimensions))
    return pl.DataFrame(
        {"Metadata_Batch": batch.astype(str), "Metadata_IsControl": np.arange(wells) % 8 == 0}
        | _columns(values, "Cells_F{}")
    )


def replicates(plates: int, dimensions: int) -> pl.DataFrame:
    """Wells of several plates of one layout, each compound with a weak profile of its own."""
    rng = np.random.default_rng(0)
    layout = np.tile(COMPOUNDS, plates)
    base = {name: rng.standard_normal(dimensions) for name in np.unique(layout)}
    values = np.stack([0.3 * base[name] for name in layout])
    values += rng.standard_normal((layout.size, dimensions))
    return _plates(plates).hstack(pl.DataFrame(_columns(values.astype(np.float32), "Cells_F{}")))


def write_lake(folder: Path, plates: int, cells_per_plate: int, features: int) -> None:
    """A Delta table of single cells, float32, a partition per plate, as many as asked.

    Values are rounded to 1/16, so that the table takes about a byte per value on disk. The files
    of the first plates are copied for the others.
    """
    from deltalake import Field, Schema, convert_to_deltalake
    from deltalake.schema import PrimitiveType

    rng = np.random.default_rng(1)
    pool = np.round(rng.standard_normal(cells_per_plate + features, np.float32) * 16) / 16
    for plate in range(plates):
        file = folder / f"Metadata_Plate=P{plate:03d}" / "part.parquet"
        file.parent.mkdir(parents=True)
        if plate >= _DISTINCT_PLATES:
            first = f"Metadata_Plate=P{plate % _DISTINCT_PLATES:03d}"
            shutil.copyfile(folder / first / "part.parquet", file)
            continue
        # Each feature is the same noise from another place on, multiplied by a power of two.
        noise = rng.permutation(pool)
        columns = {
            f"Cells_F{i}": noise[i : i + cells_per_plate] * np.float32(2.0 ** (i % 5))
            for i in range(features)
        }
        wells = WELL_NAMES[np.sort(rng.integers(0, WELLS, cells_per_plate))]
        pl.DataFrame({"Metadata_Well": wells} | columns).write_parquet(
            file, compression="zstd", compression_level=1, statistics=False
        )
    partitions = Schema([Field("Metadata_Plate", PrimitiveType("string"))])
    convert_to_deltalake(folder, partition_by=partitions, partition_strategy="hive")


def _plates(plates: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "Metadata_Plate": np.repeat([f"P{i:02d}" for i in range(plates)], WELLS),
            "Metadata_Compound": np.tile(COMPOUNDS, plates),
            "Metadata_Well": np.tile(WELL_NAMES, plates),
        }
    )


def _columns(values: np.ndarray, name: str) -> dict[str, np.ndarray]:
    return {name.format(i): values[:, i] for i in range(values.shape[1])}
