"""SQL of strangers, answered in a process of its own that is ended when it takes too much.

DuckDB's limits hold for its buffers. One long string or list is beyond them, and a function at work on
it can't be interrupted: the operating system holds a process to both.
"""

from __future__ import annotations

import io
import multiprocessing
import resource
import sys
from functools import lru_cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import polars as pl

from phenolake.errors import PhenolakeError, QueryError
from phenolake.lake.query import QueryLimits, in_gib
from phenolake.lake.store import Lake

#: Beyond the query's time: opening the tables, and ending in order.
_GRACE_S = 15.0
#: What Python, DuckDB and their threads take before the first row.
_BASE_BYTES = 1 << 29


def sql_apart(
    lake: Lake, query: str, limits: QueryLimits, most_rows: int
) -> tuple[pl.DataFrame, int]:
    """First rows of the answer of one reading statement, and how many rows it has in all.

    The process may take three times `limits.memory_bytes`: for the work, the answer and its copy.

    Raises
    ------
    QueryError
        As `Lake.sql`; also if the process had to be ended.
    """
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_answer, args=(sender, lake, query, limits, most_rows), daemon=True
    )
    process.start()
    sender.close()
    try:
        if not receiver.poll(limits.seconds + _GRACE_S):
            raise QueryError(f"stopped after {limits.seconds:g} s; ask for less")
        total, body = int(receiver.recv()), receiver.recv_bytes()
    except EOFError:
        raise QueryError(
            f"needs more than {in_gib(limits.memory_bytes)} of memory; ask for less"
        ) from None
    finally:
        process.kill()
        process.join()
        receiver.close()
    if total < 0:
        raise QueryError(body.decode())
    return pl.read_ipc(io.BytesIO(body)), total


@lru_cache
def _context() -> ForkServerContext:
    """Processes are forked from one that has imported everything and has no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "phenolake.lake.views", "duckdb", "deltalake"])
    return context


def _answer(
    sender: Connection, lake: Lake, query: str, limits: QueryLimits, most_rows: int
) -> None:
    _hold_memory(3 * limits.memory_bytes + _BASE_BYTES)
    try:
        rows = lake.sql(query, limits=limits)
        body = io.BytesIO()
        rows.head(most_rows).write_ipc(body)
        total, content = rows.height, body.getvalue()
    except PhenolakeError as error:
        total, content = -1, str(error).removeprefix("SQL: ").encode()
    except MemoryError:
        return  # nothing sent: the other side knows what that means
    sender.send(total)
    sender.send_bytes(content)


def _hold_memory(more_bytes: int) -> None:
    """Let this process take so many bytes more than it has; only Linux tells and holds that."""
    if sys.platform != "linux":
        return
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    limit = pages * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
