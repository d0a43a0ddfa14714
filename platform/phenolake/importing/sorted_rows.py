"""Sort a table's rows by image in bounded memory, through sorted runs in temporary files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from phenolake.importing.keyed_rows import IMAGE, KeyedRows, concatenated

RUN_BYTES = 64 << 20
PIECE_BYTES = 16 << 20


@dataclass(frozen=True)
class _Run:
    """One sorted file: its images, and the row at which each starts (one more for the end)."""

    path: Path
    images: np.ndarray
    starts: np.ndarray

    def rows_of(self, first: int, last: int) -> KeyedRows | None:
        """Rows of the images from `first` to `last`; the file is read where they are."""
        low, high = np.searchsorted(self.images, [first, last + 1])
        start, end = int(self.starts[low]), int(self.starts[high])
        if start == end:
            return None
        # Mapped anew for every piece, so that pages that were read are given back.
        with pa.memory_map(str(self.path)) as source:
            table = pa.ipc.open_file(source).read_all()
        return KeyedRows.of(table.slice(start, end - start))


def sorted_by_image(
    frames: Iterator[KeyedRows], *, run_bytes: int = RUN_BYTES, piece_bytes: int = PIECE_BYTES
) -> Iterator[KeyedRows]:
    """The same rows by image and object, in pieces of whole images.

    Memory holds two runs, or a piece of each run; the temporary files hold every row once. Rows
    without an image or object number are left out.
    """
    with tempfile.TemporaryDirectory(prefix="phenolake-sort-") as folder:
        runs = list(_runs(frames, Path(folder), run_bytes))
        if not runs:
            return
        images = np.concatenate([run.images for run in runs])
        counts = np.concatenate([np.diff(run.starts) for run in runs])
        images, which = np.unique(images, return_inverse=True)
        rows = np.bincount(which, weights=counts)
        on_disk = sum(run.path.stat().st_size for run in runs)
        piece_rows = max(1.0, piece_bytes * rows.sum() / on_disk)
        piece = np.floor((rows.cumsum() - rows) / piece_rows)
        for number in np.unique(piece):
            first, last = images[piece == number][[0, -1]]
            parts = [part for run in runs if (part := run.rows_of(first, last)) is not None]
            yield concatenated(parts).sorted()


def _runs(frames: Iterator[KeyedRows], folder: Path, run_bytes: int) -> Iterator[_Run]:
    waiting: list[KeyedRows] = []
    size = 0
    for number, frame in enumerate(frames):
        waiting.append(frame.with_numbers())
        size += waiting[-1].values.nbytes + waiting[-1].keys.estimated_size()
        if size >= run_bytes:
            yield _written(waiting, folder / f"{number}.arrow")
            waiting, size = [], 0
    if any(frame.height for frame in waiting):
        yield _written(waiting, folder / "last.arrow")


def _written(frames: list[KeyedRows], path: Path) -> _Run:
    rows = concatenated(frames).sorted()
    table = rows.table().combine_chunks()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    images, starts = np.unique(rows.keys[IMAGE].to_numpy(), return_index=True)
    return _Run(path, images, np.append(starts, rows.height))
