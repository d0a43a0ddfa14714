"""A frame as an answer of the service: JSON, or an Arrow stream."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Literal

import polars as pl
import pyarrow as pa
from fastapi import Response
from fastapi.responses import StreamingResponse

Format = Literal["json", "arrow"]
ARROW = "application/vnd.apache.arrow.stream"
_BATCH_ROWS = 8192


def answer(rows: pl.DataFrame, output: Format, total: int | None = None) -> Response:
    """The rows in the asked format; `X-Total-Rows` says how many there are in all."""
    headers = {"X-Total-Rows": str(rows.height if total is None else total)}
    # Packed images are bytes that neither JSON nor a table viewer can show.
    rows = rows.select(pl.all().exclude(pl.Binary))
    if output == "arrow":
        return StreamingResponse(_arrow(rows), media_type=ARROW, headers=headers)
    finite = rows.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
    number = pl.selectors.float()
    finite = finite.with_columns(pl.when(number.is_finite()).then(number).name.keep())
    return Response(finite.write_json(), media_type="application/json", headers=headers)


class _Written(io.RawIOBase):
    """What was written since it was last taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Arrow asks."""
        return True

    def write(self, part: Any) -> int:
        """Keep a copy of the part."""
        self._parts.append(bytes(part))
        return len(self._parts[-1])

    def taken(self) -> bytes:
        """Everything since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _arrow(rows: pl.DataFrame) -> Iterator[bytes]:
    """An Arrow IPC stream, a batch of rows at a time."""
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    written = _Written()
    with pa.ipc.new_stream(written, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
            writer.write_batch(batch)
            yield written.taken()
    yield written.taken()
