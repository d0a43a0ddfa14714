"""`phenolake history` and `phenolake restore`: what was written when, by which run, and back to it."""

from __future__ import annotations

import polars as pl
import typer

from phenolake.errors import ConfigurationError
from phenolake.lake import Lake
from phenolake.lake.lineage import SCHEMAS, commit_frame
from phenolake.settings import Settings


def show_history(table: str | None, screen: str | None, plate: str | None, limit: int) -> int:
    """Print the newest commits, newest first, of one table or of all."""
    lake = Lake(Settings().tables_uri)
    parts = [
        commit_frame(source.snapshot)
        for source in lake.sources()
        if source.snapshot is not None and table in (None, source.name)
    ]
    if table is not None and not parts:
        lake.version(table)  # says that there is no such table
    found = pl.concat([pl.DataFrame(schema=SCHEMAS["commits"]), *parts])
    for column, value in (("Metadata_Screen", screen), ("Metadata_Plate", plate)):
        if value is not None:
            found = found.filter(pl.col(column) == value)
    shown = found.sort("committed_at", "table_name", "version", descending=True).head(limit)
    for commit in shown.iter_rows(named=True):
        typer.echo(_sentence(commit))
    if found.height > limit:
        typer.echo(f"... {found.height - limit:,} older ones; --limit shows more")
    if found.is_empty():
        typer.echo("No commit fits.")
    return 0


def restore_table(table: str, version: int, screen: str | None, plate: str | None) -> int:
    """Restore a table, a screen or a plate of it; prints the commit."""
    if plate is not None and screen is None:
        raise ConfigurationError(
            "--plate needs --screen: plate names are unique within a screen only"
        )
    where = {"Metadata_Screen": screen} if screen else {}
    if plate:
        where["Metadata_Plate"] = plate
    commit = Lake(Settings().tables_uri).restore(table, version, where)
    part = " ".join(where.values()) or "all of it"
    typer.echo(
        f"{table}: {part} is again as in version {version}: {commit.rows:,} rows, "
        f"version {commit.version}"
    )
    return 0


def _sentence(commit: dict[str, object]) -> str:
    place = "/".join(
        str(commit[name]) for name in ("Metadata_Screen", "Metadata_Plate") if commit[name]
    )
    who = [f"run {commit['run_id']}"] if commit["run_id"] else []
    who += [f"by {commit['user']}"] if commit["user"] else []
    who += [f"phenolake {commit['code_version']}"] if commit["code_version"] else []
    done = str(commit["operation"])
    if commit["restored_version"] is not None:
        done += f" to version {commit['restored_version']}"
    when = f"{commit['committed_at']:%Y-%m-%d %H:%M:%S} UTC"
    facts = [when, f"{commit['table_name']} v{commit['version']}", done]
    if commit["operation"] not in ("vacuum", "set tblproperties"):
        facts.append(f"{commit['rows']:,} rows")
    return "  ".join([*facts, *([place] if place else []), *([", ".join(who)] if who else [])])
