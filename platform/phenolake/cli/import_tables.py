"""`phenolake import`: tables and masks that other programs made, with one line per plate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import typer
import yaml

from phenolake.errors import UnknownNameError
from phenolake.importing import Imported, import_source
from phenolake.importing.land import Options
from phenolake.lake import Lake
from phenolake.screens.discover import SCREEN_FILE
from phenolake.screens.registry import ScreenRegistry
from phenolake.settings import Settings

#: More problems than these are counted, not listed.
LISTED = 10


def import_folder(source: Path, screen: str, kind: str | None, options: Options) -> int:
    """Write every plate of a source to the lake and record it in Dagster; returns 0."""
    import dagster as dg

    from phenolake.cli.runs import prepare_home
    from phenolake_assets.imports import record_import

    settings = Settings()
    lake = Lake(settings.tables_uri)
    lake.validate()
    prepare_home(settings)
    typer.echo(f"screen {screen}: importing {source}")
    with dg.DagsterInstance.from_config(str(settings.dagster_path)) as instance:
        is_new = True
        for imported in import_source(lake, source, screen, kind, options):
            if is_new:
                _register(settings, screen, source)
                is_new = False
            record_import(instance, imported, lake)
            _show(imported)
        instance.add_dynamic_partitions("screens", [screen])
    return 0


def _register(settings: Settings, screen: str, source: Path) -> None:
    """Give a screen without images a folder with a `screen.yaml`, unless it is known."""
    registry = ScreenRegistry(
        settings.home_path / "screens", settings.inbox_path, settings.linked_paths
    )
    try:
        registry.screen(screen)
    except UnknownNameError:
        folder = settings.home_path / "imports" / screen
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / SCREEN_FILE
        if not file.exists():
            note = f"# Imported from {source}; say here what the screen is.\n"
            file.write_text(note + yaml.safe_dump({"name": screen}), encoding="utf-8")
        registry.register(folder)


def _show(imported: Imported) -> None:
    commit = imported.commit
    refused = (
        f", {len(imported.problems)} problem(s) in bronze.quarantine" if imported.problems else ""
    )
    typer.echo(
        f"  plate {imported.key.plate}: {commit.rows} rows in {commit.table} ({imported.kind}){refused}"
    )
    for problem in imported.problems[:LISTED]:
        typer.secho(f"    {problem.sentence(imported.key.plate)}", fg="yellow")
    if len(imported.problems) > LISTED:
        kinds = Counter(problem.problem for problem in imported.problems)
        rest = ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items()))
        typer.secho(f"    in all {len(imported.problems)} problems: {rest}", fg="yellow")
