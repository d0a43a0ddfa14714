"""Whatever a caller calls rows, as a stream of Arrow tables of a useful size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

#: Rows of wider tables are numbers of fixed size; asking each batch for its bytes would cost more
#: than writing it.
_NARROW = 64


def as_tables(rows: Any) -> Iterator[pa.Table]:
    """Arrow tables from a frame, a table, or a stream of frames, tables or record batches."""
    if hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__"):
        yield _as_table(rows)
        return
    for piece in rows:
        yield _as_table(piece)


def gathered(pieces: Iterator[pa.Table], limit: int) -> Iterator[pa.Table]:
    """Join consecutive pieces of one schema until they hold `limit` bytes.

    Work per column is then paid once for many small batches: one site's cells fill few pages.
    """
    waiting: list[pa.Table] = []
    size = row_bytes = 0.0
    for piece in pieces:
        if waiting and not piece.schema.equals(waiting[0].schema):
            yield _joined(waiting)
            waiting, size = [], 0.0
        if not waiting or piece.num_columns <= _NARROW:
            row_bytes = piece.nbytes / max(piece.num_rows, 1)
        waiting.append(piece)
        size += row_bytes * piece.num_rows
        if size >= limit:
            yield _joined(waiting)
            waiting, size = [], 0.0
    if waiting:
        yield _joined(waiting)


def _joined(pieces: list[pa.Table]) -> pa.Table:
    return pieces[0] if len(pieces) == 1 else pa.concat_tables(pieces).combine_chunks()


def _as_table(piece: Any) -> pa.Table:
    if isinstance(piece, pa.Table):
        return piece
    if isinstance(piece, pa.RecordBatch):
        return pa.Table.from_batches([piece])
    return piece.to_arrow() if hasattr(piece, "to_arrow") else pa.table(piece)
