"""One SQL statement from a person: only reading, within limits of time and memory, errors in one sentence."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from phenolake.errors import QueryError
from phenolake.lake.statements import check_reading

if TYPE_CHECKING:
    import duckdb

_BATCH_ROWS = 100_000


def _half_of_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


@dataclass(frozen=True)
class QueryLimits:
    """What one query may take: seconds, and bytes of memory, for its answer as for its work."""

    seconds: float = 600
    memory_bytes: int = _half_of_memory()
    #: What does not fit into memory is written to a scratch folder, up to this many bytes.
    spilled_bytes: int = 64 << 30


def settings_of(limits: QueryLimits) -> tuple[str, ...]:
    """DuckDB settings that hold a connection to the limits."""
    return (
        f"memory_limit = '{limits.memory_bytes} B'",
        f"max_temp_directory_size = '{limits.spilled_bytes} B'",
    )


def answer(connection: duckdb.DuckDBPyConnection, query: str, limits: QueryLimits) -> pl.DataFrame:
    """Rows of one reading statement.

    Raises
    ------
    QueryError
        If the text is not one reading statement, DuckDB refuses it, or it passes a limit.
    """
    import duckdb

    timer = threading.Timer(limits.seconds, connection.interrupt)
    timer.daemon = True
    try:
        check_reading(connection, query)
        timer.start()
        relation = connection.sql(query)
        return pl.DataFrame() if relation is None else _rows(relation, limits)
    except duckdb.InterruptException as error:
        raise QueryError(
            f"stopped after {limits.seconds:g} s; ask for less, or set PHENOLAKE_SQL_SECONDS"
        ) from error
    except duckdb.OutOfMemoryException as error:
        raise QueryError(
            f"needs more than {in_gib(limits.memory_bytes)} of memory; ask for fewer columns or "
            "rows, or set PHENOLAKE_SQL_MEMORY_GB"
        ) from error
    except duckdb.Error as error:
        raise QueryError(_one_sentence(error)) from error
    except (pl.exceptions.PolarsError, pa.ArrowException) as error:
        raise QueryError(
            f"the answer has a type that no table here can hold, such as an interval; cast it to "
            f"varchar ({_one_sentence(error)})"
        ) from error
    finally:
        timer.cancel()


def _rows(relation: duckdb.DuckDBPyRelation, limits: QueryLimits) -> pl.DataFrame:
    reader = relation.to_arrow_reader(_BATCH_ROWS)
    batches: list[pa.RecordBatch] = []
    size = 0
    for batch in reader:
        size += batch.nbytes
        if size > limits.memory_bytes:
            raise QueryError(
                f"the answer is larger than {in_gib(limits.memory_bytes)}; add a `limit`, or write "
                "the table with `phenolake export`"
            )
        batches.append(batch)
    return pl.DataFrame(pa.Table.from_batches(batches, reader.schema))


def _one_sentence(error: Exception) -> str:
    """DuckDB's message without the copy of the query below it, and on one line."""
    message = str(error).split("\n\nLINE ")[0]
    return " ".join(message.split())


def in_gib(count: int) -> str:
    """Write a number of bytes for people."""
    return f"{count / 2**30:.3g} GiB"
