"""Crops as Arrow rows: the pixels of a cell are one binary value, uint8 (channel, y, x)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from phenolake.errors import TrainingDataError
from phenolake.modeling.crops import Crops

_FACTS = ("size", "channels")


def crop_rows(keys: Mapping[str, object], crops: Crops, channels: Sequence[str]) -> pa.Table:
    """Return rows of `single_cell_crops` for the crops of one site; pixels are not copied."""
    count = len(crops.objects)
    size = crops.pixels.shape[-1]
    columns: dict[str, pa.Array] = {
        name: pa.nulls(count, pa.string()) if value is None else pa.repeat(_scalar(value), count)
        for name, value in keys.items()
    }
    flat = np.ascontiguousarray(crops.pixels)
    offsets = np.arange(count + 1) * (len(channels) * size * size)
    columns["Metadata_ObjectNumber"] = pa.array(crops.objects.astype(np.int32))
    columns["channels"] = pa.repeat(pa.scalar(",".join(channels)), count)
    columns["size"] = pa.repeat(pa.scalar(size, pa.int32()), count)
    columns["pixels"] = pa.BinaryArray.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(flat)]
    )
    return pa.table(columns)


def crop_pixels(batch: pa.RecordBatch) -> np.ndarray:
    """Return the pixels of a batch as a view of its memory, uint8 (n, channel, size, size).

    Raises
    ------
    TrainingDataError
        If the batch mixes crops of several sizes or channels, or a value has another length.
    """
    if not batch.num_rows:
        return np.empty((0, 0, 0, 0), np.uint8)
    channels, size = crop_shape(batch)
    length = len(channels) * size * size
    values = batch.column("pixels")
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset :][: len(values) + 1]
    if values.null_count or not np.array_equal(np.diff(bounds), np.full(len(values), length)):
        raise TrainingDataError(
            f"crops of {len(channels)} channels and {size} px must be {length} bytes each"
        )
    pixels = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
    return pixels.reshape(-1, len(channels), size, size)


def crop_shape(batch: pa.RecordBatch) -> tuple[tuple[str, ...], int]:
    """Return the channels and the edge that all crops of a batch have.

    Raises
    ------
    TrainingDataError
        If they differ.
    """
    kinds = [batch.column(name).unique().to_pylist() for name in _FACTS]
    if any(len(kind) > 1 for kind in kinds):
        raise TrainingDataError(
            f"crops of several sizes or channels ({kinds[0]}, {kinds[1]}) make no set; cut all "
            "plates of the screen with the same settings"
        )
    return tuple(kinds[1][0].split(",")), int(kinds[0][0])


def _scalar(value: object) -> pa.Scalar:
    return pa.scalar(value, pa.int32() if isinstance(value, int) else pa.string())
