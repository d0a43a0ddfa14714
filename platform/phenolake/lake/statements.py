"""Which SQL of people is answered: one statement that reads, and whose functions do nothing else.

DuckDB has table functions that change settings or write logs, and that its locks don't stop; so only
those named here may be called.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from phenolake.errors import QueryError

if TYPE_CHECKING:
    import duckdb

#: Table functions that only compute or describe; others, and those of later releases, are refused.
_HARMLESS = frozenset(
    [
        "duckdb_columns",
        "duckdb_constraints",
        "duckdb_functions",
        "duckdb_keywords",
        "duckdb_schemas",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "histogram",
        "histogram_values",
        "json_each",
        "json_tree",
        "pg_timezone_names",
        "pragma_show",
        "pragma_table_info",
        "pragma_version",
        "range",
        "repeat",
        "repeat_row",
        "summary",
        "unnest",
    ]
)
#: Scalar functions that write, or keep a thread that no time limit can stop.
_HARMFUL = frozenset({"write_log", "sleep_ms", "pg_sleep"})
_CALLED = re.compile(r'"function_name":"((?:[^"\\]|\\.)*)"')
_WORD = re.compile(r"\w+")


def check_reading(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Refuse anything but one statement that reads.

    Raises
    ------
    QueryError
        If the text is no single reading statement, or calls a function that does more than read.
    duckdb.Error
        If it can't be parsed.
    """
    import duckdb

    statements = connection.extract_statements(query)
    reading = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
    if (
        len(statements) == 2
        and statements[0].type == duckdb.StatementType.CREATE
        and not statements[0].query
    ):
        # DuckDB turns a `pivot` into a temporary type that nobody wrote, and a select.
        statements = statements[1:]
    if len(statements) != 1:
        raise QueryError(f"give one statement; this text has {len(statements)}")
    if statements[0].type not in reading:
        raise QueryError(f"the lake is read-only here; {statements[0].type.name} is not allowed")
    if refused := sorted(_called(connection, query) & _refused()):
        raise QueryError(f"{refused[0]} is not allowed here: it may do more than read the lake")


def _called(connection: duckdb.DuckDBPyConnection, query: str) -> set[str]:
    """Names of the functions that a statement calls, at whatever depth, in lower case."""
    row = connection.execute("select json_serialize_sql(?)", [query]).fetchone()
    tree = str(row[0]) if row else ""
    if tree.startswith('{"error":false'):
        return {name.lower() for name in _CALLED.findall(tree)}
    # `explain`, `pivot` and `pragma` have no tree: every word of theirs might be a function.
    return {word.lower() for word in _WORD.findall(query)}


@lru_cache
def _refused() -> frozenset[str]:
    """Table functions that this DuckDB has beyond the harmless ones."""
    import duckdb

    with duckdb.connect() as connection:
        found = connection.execute(
            "select distinct function_name from duckdb_functions() "
            "where function_type in ('table', 'table_macro')"
        ).fetchall()
    return frozenset(name for (name,) in found) - _HARMLESS | _HARMFUL | {"pragma"}
