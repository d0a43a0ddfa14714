"""`phenolake ingest`: register a screen and run every job for it, with one line per plate."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import typer

from phenolake.cli.freshness import plate_is_up_to_date, screen_is_up_to_date
from phenolake.cli.runs import Runner, local_runner
from phenolake.errors import EmptyFolderError
from phenolake.lake import Lake
from phenolake.screens.discover import Plate, Screen
from phenolake.screens.proposal import keep_proposal
from phenolake.screens.registry import ScreenRegistry
from phenolake.settings import Settings
from phenolake.stages.refused_links import keep_refused_links

MODELS = (
    "phenotype_forest",
    "phenotype_network",
    "model_predictions",
    "labelling_queue",
    "well_predictions",
    "cell_embeddings",
    "embedding_profiles",
    "model_scores",
)


def ingest_screen(
    folder: Path,
    name: str | None = None,
    config: Path | None = None,
    *,
    another_root: bool = False,
    force: bool = False,
    with_models: bool = True,
) -> int:
    """Materialize every table of a screen; returns 0, or 1 when a run failed.

    With `another_root` the folder holds further plates of a screen that is known already.

    A folder without a `screen.yaml` gets the one `phenolake inspect` proposes, kept with the
    registered screens. Plates whose profiles are newer than their files, and a screen of which
    nothing changed, are left as they are unless `force`.
    """
    settings = Settings()
    lake = Lake(settings.tables_uri)
    lake.validate()
    screens = settings.home_path / "screens"
    registry = ScreenRegistry(screens, settings.inbox_path, settings.linked_paths)
    if not another_root:
        config = config or keep_proposal(folder, screens, name)
    own = replace(Screen.open(folder, config, name), linked_folders=settings.linked_paths)
    refused = own.refused_links()
    for link in refused.values():
        typer.secho(f"  {link}", fg="yellow", err=True)
    keep_refused_links(lake, refused, [own.config.name])
    if not own.plates():
        raise EmptyFolderError(folder, "TIFF and PNG files in one folder per plate")
    screen = registry.register(folder, config, name, as_another_root=another_root)
    plates = screen.plates()
    leave_out = () if with_models else MODELS
    typer.echo(
        f"screen {screen.config.name}: {len(plates)} plate(s) in {' and '.join(map(str, screen.roots))}"
    )
    with local_runner(settings) as runner:
        instance = runner.instance
        instance.add_dynamic_partitions("plates", [str(plate.key) for plate in plates])
        instance.add_dynamic_partitions("screens", [screen.config.name])
        done = 0
        for plate in plates:
            if not force and plate_is_up_to_date(instance, screen, plate, config):
                typer.echo(f"  plate {plate.key.plate}: up to date")
                done += 1
            else:
                done += _plate(runner, lake, plate)
        if not done:
            return 1
        wanted = runner.assets_of("screen_job", leave_out)
        if not force and screen_is_up_to_date(instance, screen, plates, wanted):
            typer.echo(f"  screen {screen.config.name}: up to date")
            return 0
        finished = _screen(runner, screen, leave_out)
    return int(done < len(plates) or not finished)


def _plate(runner: Runner, lake: Lake, plate: Plate) -> bool:
    outcome = runner.run("plate_job", str(plate.key))
    if outcome.succeeded:
        facts = outcome.assets["segmentation_masks"]
        problems = (
            lake.read("quarantine", plate.key.where).height if lake.exists("quarantine") else 0
        )
        note = f", {problems} problem(s) in bronze.quarantine" if problems else ""
        typer.echo(
            f"  plate {plate.key.plate}: {facts['sites'].value} sites, {facts['cells'].value} cells{note}"
        )
    _show_failures(f"plate {plate.key.plate}", outcome.failures)
    return outcome.succeeded


def _screen(runner: Runner, screen: Screen, leave_out: Collection[str]) -> bool:
    name = screen.config.name
    outcome = runner.run("screen_job", name, leave_out)
    _show_failures(f"screen {name}", outcome.failures)
    for asset in ("phenotype_forest", "phenotype_network"):
        metadata = outcome.assets.get(asset, {})
        if "model" in metadata:
            accuracy = metadata["validation balanced_accuracy"].value
            typer.echo(
                f"  {metadata['model'].value}: balanced accuracy {accuracy:.3f} on held-out wells"
            )
        elif "reason" in metadata:
            typer.echo(f"  {asset}: not trained, {metadata['reason'].value}")
    marts = runner.run("marts_job")
    _show_failures("marts", marts.failures)
    return outcome.succeeded and marts.succeeded


def _show_failures(where: str, failures: list[str]) -> None:
    for failure in failures:
        typer.secho(f"  {where} failed: {failure}", fg="red", err=True)
