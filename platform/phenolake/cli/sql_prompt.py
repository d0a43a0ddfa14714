"""The SQL prompt: history, completion of names, `.tables`, `.schema`, statements over lines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import typer

from phenolake.cli.text_table import table_of
from phenolake.errors import PhenolakeError, UnknownNameError
from phenolake.lake import Lake
from phenolake.lake.query import QueryLimits
from phenolake.tables import TABLES

_HELP = """\
.tables          the tables
.schema TABLE    columns of a table, with unit and meaning
.help            this text
.quit            end
A statement may run over several lines. Tab completes names of tables and columns."""
_WORDS = (
    "select", "from", "where", "group by", "order by", "limit", "count(*)", "join", "using", "having",
    "distinct", "median", "avg", "stddev_samp", "quantile_cont", "describe", "explain", "desc",
)  # fmt: skip
_END = (".quit", ".exit", ".q", "quit", "exit")
_MOST_HISTORY = 2000


def prompt(lake: Lake, versions: dict[str, int], limits: QueryLimits, history: Path) -> int:
    """Read and answer statements until `.quit` or the end of the input; returns the exit status.

    Parameters
    ----------
    lake, versions, limits
        What is asked, and how much a query may take.
    history
        File that keeps the lines typed on a terminal.
    """
    typer.echo("End a statement with its line; .help lists more, .quit ends.")
    with _editing(lake, history):
        for text in _statements():
            try:
                if text.startswith("."):
                    _command(lake, text)
                else:
                    typer.echo(table_of(lake.sql(text, versions, limits)), nl=False)
            except PhenolakeError as error:
                typer.secho(f"error: {error}", fg="red", err=True)
    return 0


def _statements() -> Iterator[str]:
    """Statements and commands as they are typed; a line that ends too early asks for another."""
    lines: list[str] = []
    while True:
        try:
            line = input("phenolake> " if not lines else "      ...> ").strip()
        except EOFError:
            typer.echo()
            if lines:
                yield " ".join(lines)
            return
        except KeyboardInterrupt:
            typer.echo()
            if not lines:
                return
            lines = []
            continue
        if not lines and line.rstrip("; ").lower() in _END:
            return
        lines.append(line)
        text = "\n".join(lines)
        if not text.strip(" ;"):
            lines = []
        elif line.endswith(";") or not line or text.startswith(".") or not _goes_on(text):
            lines = []
            yield text.rstrip("; \n")


def _goes_on(text: str) -> bool:
    """Whether the parser missed nothing but more text."""
    import duckdb

    try:
        duckdb.extract_statements(text)
    except duckdb.Error as error:
        return "at end of input" in str(error)
    return False


def _command(lake: Lake, text: str) -> None:
    name, _, argument = text.partition(" ")
    if name == ".tables":
        typer.echo("\n".join(f"{layer}.{table}" for layer, table in lake.tables()))
    elif name == ".schema":
        typer.echo(schema_of(lake, argument.strip()))
    elif name == ".help":
        typer.echo(_HELP)
    else:
        raise UnknownNameError("command", name, (".tables", ".schema", ".help", ".quit"))


def schema_of(lake: Lake, table: str) -> str:
    """Columns of a table that exists, a line each: name, type, meaning and unit where declared.

    Raises
    ------
    UnknownNameError
        If the lake has no such table.
    """
    name = table.rpartition(".")[2]
    known = {found for _, found in lake.tables()}
    if name not in known:
        raise UnknownNameError("table", name or "(none given)", known)
    declared = {c.name: c for c in TABLES[name].columns} if name in TABLES else {}
    lines = [TABLES[name].grain] if name in TABLES else []
    for column, dtype in lake.table(name).collect_schema().items():
        about = declared.get(column)
        unit = f" [{about.unit}]" if about and about.unit else ""
        lines.append(f"  {column}  {dtype}{'  ' + about.meaning + unit if about else ''}")
    return "\n".join(lines)


@contextlib.contextmanager
def _editing(lake: Lake, history: Path) -> Iterator[None]:
    """Line editing, history and completion, where the terminal's library is there."""
    try:
        import readline
    except ImportError:
        yield
        return
    names = sorted({*_WORDS, *_names(lake)})

    def complete(start: str, state: int) -> str | None:
        found = [name for name in names if name.lower().startswith(start.lower())]
        return found[state] if state < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n,()=<>;")
    readline.parse_and_bind("tab: complete")
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    try:
        yield
    finally:
        readline.set_completer(None)
        readline.set_history_length(_MOST_HISTORY)
        with contextlib.suppress(OSError):
            history.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(history)


def _names(lake: Lake) -> set[str]:
    """Tables with their schema, and columns of all of them."""
    found: set[str] = set()
    for layer, name in lake.tables():
        found.add(f"{layer}.{name}")
        found |= set(lake.table(name).collect_schema().names())
    return found
