"""`phenolake maintain`: tidy the tables, with one line for each."""

from __future__ import annotations

from datetime import timedelta

import typer

from phenolake.lake import Lake
from phenolake.lake.maintenance import Upkeep, maintain
from phenolake.lake.migrations import migrate
from phenolake.settings import Settings
from phenolake.stages.fetched_plates import release_fetched


def maintain_lake(keep_days: float | None, *, dry_run: bool) -> int:
    """Maintain every table and print what was done."""
    settings = Settings()
    days = settings.retention_days if keep_days is None else keep_days
    lake = Lake(settings.tables_uri)
    if not dry_run:
        for moved in migrate(lake):
            typer.echo(
                f"{moved.table}: from version {moved.from_version} of its columns to "
                f"{moved.to_version}, {moved.rows:,} rows"
            )
    if settings.keep_fetched_days and not dry_run:
        keep = timedelta(days=settings.keep_fetched_days)
        for key, freed in release_fetched(lake, settings.inbox_path, keep):
            typer.echo(f"plate {key}: {freed / 1e6:,.1f} MB of images left to the object store")
    deleted = 0
    for done in maintain(lake, retention=timedelta(days=days), dry_run=dry_run):
        typer.echo(_sentence(done, dry_run=dry_run))
        deleted += done.deleted
    verb = "would be deleted" if dry_run else "deleted"
    typer.echo(f"{deleted:,} files {verb}; versions of the last {days:g} days stay readable")
    return 0


def _sentence(done: Upkeep, *, dry_run: bool) -> str:
    facts = [
        f"{done.rows:,} rows in {done.files:,} files, {done.bytes / 1e6:.1f} MB",
        f"{done.deleted:,} files {'to delete' if dry_run else 'deleted'}",
    ]
    facts += [f"{done.joined:,} files joined"] if done.joined else []
    facts += ["log checkpointed"] if done.checkpointed else []
    return f"{done.table} v{done.version}: {', '.join(facts)}"
