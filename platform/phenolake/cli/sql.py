"""`phenolake sql`: one statement, or a prompt; rows as a table, CSV, JSON or Parquet."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import typer

from phenolake.errors import ConfigurationError, PhenolakeError
from phenolake.lake import Lake
from phenolake.lake.query import QueryLimits
from phenolake.settings import Settings


def run_sql(query: str | None, output: str, out: Path | None, at: list[str]) -> int:
    """Answer a query from this installation's lake; returns the exit status."""
    settings = Settings()
    lake = Lake(settings.tables_uri)
    versions = dict(_version(text) for text in at)
    limits = _limits(settings)
    if query is None:
        return _prompt(lake, versions, limits)
    _write(lake.sql(query, versions, limits), output, out)
    return 0


def _limits(settings: Settings) -> QueryLimits:
    limits = QueryLimits(seconds=settings.sql_seconds)
    if not settings.sql_memory_gb:
        return limits
    return replace(limits, memory_bytes=int(settings.sql_memory_gb * 2**30))


def _version(text: str) -> tuple[str, int]:
    table, _, number = text.partition("=")
    if not number.isdigit():
        raise ConfigurationError(f"--at {text!r} is not TABLE=VERSION, e.g. well_profiles=3")
    return table.rpartition(".")[2], int(number)


def _write(rows: pl.DataFrame, output: str, out: Path | None) -> None:
    if output == "parquet":
        buffer = io.BytesIO()
        rows.write_parquet(buffer)
        _bytes(buffer.getvalue(), out)
        return
    if output == "csv":
        text = rows.write_csv()
    elif output == "json":
        text = rows.write_json() + "\n"
    else:
        text = _table(rows)
    if out is None:
        typer.echo(text, nl=not text.endswith("\n"))
    else:
        out.write_text(text, encoding="utf-8")


def _bytes(data: bytes, out: Path | None) -> None:
    if out is not None:
        out.write_bytes(data)
    elif sys.stdout.isatty():
        raise ConfigurationError(
            "parquet is not text: give a file with --out, or redirect the output"
        )
    else:
        sys.stdout.buffer.write(data)


def _table(rows: pl.DataFrame) -> str:
    with pl.Config(
        tbl_rows=100,
        tbl_cols=-1,
        tbl_hide_dataframe_shape=rows.height <= 100,
        tbl_hide_column_data_types=True,
        tbl_width_chars=_terminal_width(),
        fmt_str_lengths=60,
        float_precision=4,
    ):
        return f"{rows}\n"


def _terminal_width() -> int:
    import shutil

    return shutil.get_terminal_size((160, 24)).columns


def _prompt(lake: Lake, versions: dict[str, int], limits: QueryLimits) -> int:
    """Read statements until `.quit`; `.tables` lists the tables."""
    import contextlib

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (gives the prompt history and editing)
    typer.echo("One statement per line; .tables lists the tables, .quit ends.")
    while True:
        try:
            line = input("phenolake> ").strip().rstrip(";")
        except (EOFError, KeyboardInterrupt):
            typer.echo()
            return 0
        if line in (".quit", ".exit"):
            return 0
        if line == ".tables":
            typer.echo("\n".join(f"{layer}.{name}" for layer, name in lake.tables()))
        elif line:
            try:
                _write(lake.sql(line, versions, limits), "table", None)
            except PhenolakeError as error:
                typer.secho(f"error: {error}", fg="red", err=True)
