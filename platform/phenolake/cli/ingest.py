"""`phenolake ingest`: register a screen and run every job for it, with one line per plate."""

from __future__ import annotations

from pathlib import Path

import typer

from phenolake.cli.runs import Runner, local_runner
from phenolake.errors import EmptyFolderError
from phenolake.images.readers.base import image_files
from phenolake.lake import Lake
from phenolake.screens.discover import Plate, Screen
from phenolake.screens.proposal import keep_proposal
from phenolake.screens.registry import ScreenRegistry
from phenolake.settings import Settings

WITHOUT_MODELS = ["batch_corrected_profiles", "consensus_profiles"]


def ingest_screen(
    folder: Path,
    name: str | None = None,
    config: Path | None = None,
    *,
    force: bool = False,
    with_models: bool = True,
) -> int:
    """Materialize every table of a screen; returns 0, or 1 when a run failed.

    A folder without a `screen.yaml` gets the one `phenolake inspect` proposes, kept with the
    registered screens. Plates whose profiles are newer than their files are left as they are
    unless `force`.
    """
    settings = Settings()
    Lake(settings.tables_uri).validate()
    registry = ScreenRegistry(settings.home_path / "screens", settings.inbox_path)
    config = config or keep_proposal(folder, settings.home_path / "screens", name)
    screen = registry.register(folder, config, name)
    plates = screen.plates()
    if not plates:
        raise EmptyFolderError(screen.folder, "TIFF and PNG files in one folder per plate")
    typer.echo(f"screen {screen.config.name}: {len(plates)} plate(s) in {screen.folder}")
    with local_runner(settings) as runner:
        runner.instance.add_dynamic_partitions("plates", [str(plate.key) for plate in plates])
        runner.instance.add_dynamic_partitions("screens", [screen.config.name])
        failed = [not _plate(runner, plate, force) for plate in plates]
        if all(failed):
            return 1
        finished = _screen(runner, screen, with_models)
    return int(any(failed) or not finished)


def _plate(runner: Runner, plate: Plate, force: bool) -> bool:
    if not force and _is_up_to_date(runner, plate):
        typer.echo(f"  plate {plate.key.plate}: up to date")
        return True
    outcome = runner.run("plate_job", str(plate.key))
    if outcome.succeeded:
        sites = outcome.assets["segmentation_masks"]["sites"].value
        cells = outcome.assets["segmentation_masks"]["cells"].value
        refused = outcome.assets["raw_image_catalog"]["refused"].value
        note = f", {refused} problem(s) in bronze.quarantine" if refused else ""
        typer.echo(f"  plate {plate.key.plate}: {sites} sites, {cells} cells{note}")
    _show_failures(f"plate {plate.key.plate}", outcome.failures)
    return outcome.succeeded


def _screen(runner: Runner, screen: Screen, with_models: bool) -> bool:
    name = screen.config.name
    outcome = runner.run("screen_job", name, None if with_models else WITHOUT_MODELS)
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


def _is_up_to_date(runner: Runner, plate: Plate) -> bool:
    import dagster as dg

    records = runner.instance.fetch_materializations(
        dg.AssetRecordsFilter(
            dg.AssetKey("normalized_profiles"), asset_partitions=[str(plate.key)]
        ),
        limit=1,
    ).records
    if not records:
        return False
    newest = max((path.stat().st_mtime for path in image_files(plate.folder)), default=0.0)
    return bool(records[0].timestamp > newest)


def _show_failures(where: str, failures: list[str]) -> None:
    for failure in failures:
        typer.secho(f"  {where} failed: {failure}", fg="red", err=True)
