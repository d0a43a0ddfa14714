"""Crops as one array mapped from disk: any number of them, in any order, at the speed of memory."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from phenolake.errors import DiskFullError, TrainingDataError
from phenolake.identity import OBJECT, PLATE, SCREEN, SITE, WELL
from phenolake.modeling.crop_sets.arrow_crops import crop_pixels, crop_shape

_PLACE = (SCREEN, PLATE, WELL, SITE, OBJECT)


@dataclass(frozen=True, eq=False)
class CropSet:
    """Single-cell crops: `keys` and `pixels`, uint8 (n, channel, size, size), in the same order."""

    keys: pl.DataFrame
    pixels: np.ndarray
    channels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    def rows_of(self, cells: pl.DataFrame) -> np.ndarray:
        """Return the row number of each of some cells, in their order.

        Raises
        ------
        TrainingDataError
            If a cell has no crop.
        """
        rows = cells.select(_PLACE).join(
            self.keys.select(_PLACE).with_row_index("row"),
            on=_PLACE,
            how="left",
            maintain_order="left",
        )["row"]
        if rows.null_count():
            first = cells.filter(rows.is_null()).select(_PLACE).row(0)
            raise TrainingDataError(
                f"{rows.null_count()} of {len(cells)} cells have no crop, the first is {first}; "
                "materialize single_cell_crops of their plates again"
            )
        return rows.to_numpy().astype(np.int64)


def map_crops(batches: Iterable[pa.RecordBatch], folder: Path) -> CropSet:
    """Return crops as a set mapped from files in a folder; an earlier call's files are used again.

    Parameters
    ----------
    batches
        Rows of `single_cell_crops`; they are streamed, and looked at only if the folder is new.
    folder
        Appears whole or not at all, also when several processes make it.

    Raises
    ------
    TrainingDataError
        If there is no crop, or crops differ in size or channels.
    DiskFullError
        If the files don't fit on the disk.
    """
    if not folder.is_dir():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
        try:
            partial.mkdir(parents=True)
            _write(batches, partial)
            if not folder.is_dir():
                partial.rename(folder)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFullError(folder) from error
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    facts = json.loads((folder / "crops.json").read_text())
    # Copy on write: torch wants memory that can be written, the file stays as it is.
    pixels = np.memmap(folder / "pixels.u8", np.uint8, mode="c", shape=tuple(facts["shape"]))
    return CropSet(pl.read_parquet(folder / "keys.parquet"), pixels, tuple(facts["channels"]))


def _write(batches: Iterable[pa.RecordBatch], folder: Path) -> None:
    keys: list[pl.DataFrame] = []
    shape: tuple[tuple[str, ...], int] | None = None
    with (folder / "pixels.u8").open("wb") as file:
        for batch in batches:
            if not batch.num_rows:
                continue
            met = crop_shape(batch)
            if shape is not None and met != shape:
                raise TrainingDataError(
                    f"crops of {met} and {shape} (channels, pixels) make no set; cut all plates of "
                    "the screen with the same settings"
                )
            shape = met
            file.write(crop_pixels(batch).data)
            frame = pl.DataFrame(pa.Table.from_batches([batch]).drop_columns(["pixels"]))
            keys.append(frame.select(pl.col("^Metadata_.*$")))
    if shape is None:
        raise TrainingDataError("there is no crop; materialize single_cell_crops first")
    cells = pl.concat(keys)
    cells.write_parquet(folder / "keys.parquet")
    channels, size = shape
    facts = {"channels": channels, "shape": [cells.height, len(channels), size, size]}
    (folder / "crops.json").write_text(json.dumps(facts))
