"""A frame as an answer of the service: JSON, or an Arrow stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

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


def _arrow(rows: pl.DataFrame) -> Iterator[bytes]:
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
            writer.write_batch(batch)
    view = memoryview(sink.getvalue())
    for start in range(0, len(view), 1 << 20):
        yield bytes(view[start : start + (1 << 20)])
