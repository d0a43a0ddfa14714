"""The single-cell crops that the lake holds: streamed, as shards, or as one array on disk."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from phenolake.errors import TableMissingError, TrainingDataError
from phenolake.lake import Lake
from phenolake.lake.newest import newest
from phenolake.lake.scan import row_group_readers
from phenolake.modeling.crop_sets import CropSet, crop_pixels, map_crops
from phenolake.modeling.crop_sets.shuffled import Shard
from phenolake.stages.training_sets import CELL_KEYS
from phenolake.tables import SINGLE_CELL_CROPS

_COLUMNS = [*CELL_KEYS, "channels", "size", "pixels"]
#: For so long a pool keeps the memory of shards that were read.
_KEPT_MS = 60_000


def stored_crops(lake: Lake, where: Mapping[str, str]) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
    """Key columns and crops, uint8 (n, channel, size, size), a part of the cells at a time."""
    for batch in lake.batches(SINGLE_CELL_CROPS.name, where, columns=_COLUMNS):
        keys = batch.select(CELL_KEYS)
        yield pl.DataFrame(keys), crop_pixels(batch)


def drawn_crops(
    lake: Lake, where: Mapping[str, str], drawn: pl.DataFrame
) -> tuple[pl.DataFrame, np.ndarray]:
    """Keys with `label`, and crops uint8 (n, channel, size, size), of the drawn cells only.

    The table is streamed; only the drawn crops are held.

    Raises
    ------
    TrainingDataError
        If no cell is drawn, or plates were cut with different settings.
    """
    place = CELL_KEYS[2:]
    frames: list[pl.DataFrame] = []
    parts: list[np.ndarray] = []
    for keys, crops in stored_crops(lake, where):
        found = keys.with_row_index("row").join(
            drawn.select(*place, "label"), on=place, how="inner", maintain_order="left"
        )
        if found.height:
            frames.append(found.select(*CELL_KEYS, "label"))
            parts.append(crops[found["row"].to_numpy()])
    if not frames:
        raise TrainingDataError("no cell has a label")
    if len({part.shape[1:] for part in parts}) > 1:
        raise TrainingDataError(
            "plates were cut with different crop settings; materialize single_cell_crops again"
        )
    return pl.concat(frames), np.concatenate(parts)


def crop_shards(lake: Lake, where: Mapping[str, str] | None = None) -> list[Shard]:
    """The crops of the lake as shards for `shuffled_batches`: one per row group, about 64 MB each.

    Raises
    ------
    TableMissingError
        If no crop was ever cut.
    """
    table = SINGLE_CELL_CROPS
    snapshot = newest(lake.location, str(table.layer), table.name)
    if snapshot is None:
        raise TableMissingError(table.name, lake.uri)
    readers = row_group_readers(snapshot, where, _COLUMNS[-3:], _kept_memory())
    return [_shard(read) for read in readers]


def _kept_memory() -> pa.MemoryPool | None:
    """A pool that uses the pages of one shard for the next ones; none where Arrow has no such pool.

    Fresh pages are cleared by the system first, which takes longer than reading them.
    """
    if "jemalloc" not in pa.supported_memory_backends():
        return None
    pa.jemalloc_set_decay_ms(_KEPT_MS)
    return pa.jemalloc_memory_pool()


def open_crop_set(lake: Lake, where: Mapping[str, str], folder: Path) -> CropSet:
    """All crops of a screen or plate as one array mapped from disk.

    The table's newest version is copied below `folder` once; copies of its older versions are
    deleted, which harms no process that has them open.

    Raises
    ------
    TableMissingError
        If no crop was ever cut.
    TrainingDataError
        If there is none of this selection, or the plates were cut with different settings.
    DiskFullError
        If the copy does not fit.
    """
    version = lake.version(SINGLE_CELL_CROPS.name)
    facts = repr((lake.uri, sorted(where.items())))
    scope = folder / hashlib.sha256(facts.encode()).hexdigest()[:16]
    batches = lake.batches(SINGLE_CELL_CROPS.name, where, columns=_COLUMNS, version=version)
    crops = map_crops(batches, scope / f"v{version}")
    for older in scope.glob("v*"):
        if older.name[1:].isdigit() and int(older.name[1:]) < version:
            shutil.rmtree(older, ignore_errors=True)
    return crops


def _shard(read: Callable[[], pa.Table]) -> Shard:
    return lambda: crop_pixels(read().combine_chunks().to_batches()[0])
