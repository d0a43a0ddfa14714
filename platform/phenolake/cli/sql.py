"""`phenolake sql`: one statement, or a prompt; rows as a table, CSV, JSON or Parquet."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import typer

from phenolake.cli.sql_prompt import prompt
from phenolake.cli.text_table import table_of
from phenolake.errors import ConfigurationError
from phenolake.lake import Lake
from phenolake.lake.query import QueryLimits
from phenolake.settings import Settings

_HISTORY = "sql_history"


def run_sql(query: str | None, output: str, out: Path | None, at: list[str]) -> int:
    """Answer a query from this installation's lake; returns the exit status."""
    settings = Settings()
    lake = Lake(settings.tables_uri)
    versions = dict(_version(text) for text in at)
    limits = _limits(settings)
    if query is None:
        return prompt(lake, versions, limits, settings.home_path / _HISTORY)
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
        text = table_of(rows)
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


def write_catalogue(path: Path) -> int:
    """Write a DuckDB file of views over the lake for other clients; returns the exit status."""
    from phenolake.lake import write_catalog
    from phenolake.tables import Layer

    lake = Lake(Settings().tables_uri)
    write_catalog(lake, path, layers=tuple(Layer))
    typer.echo(
        f"{path}: {len(lake.tables())} tables, as they are now; run this again after new commits"
    )
    return 0
