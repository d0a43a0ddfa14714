"""The subcommands: their arguments and help; the work is in the module of the same name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from phenolake.cli import app
from phenolake.cli.models import models_app

app.add_typer(models_app, name="models")

Folder = Annotated[Path, typer.Argument(help="Folder of the screen.", show_default=False)]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="A screen.yaml that lies elsewhere than in the folder."),
]


@app.command()
def demo(
    folder: Annotated[
        Path | None,
        typer.Option(help="Where to put the simulated images; default <home>/inbox/demo."),
    ] = None,
) -> None:
    """Simulate a small screen, run every asset on it, and show what came out."""
    from phenolake.cli.demo import run_demo

    raise typer.Exit(run_demo(folder))


@app.command()
def inspect(folder: Folder, config: Config = None) -> None:
    """Say what is in a folder, which reader and preset fit, and what is wrong."""
    from phenolake.cli.inspect import inspect_folder

    raise typer.Exit(inspect_folder(folder, config))


@app.command()
def ingest(
    folder: Folder,
    screen: Annotated[
        str | None,
        typer.Option(help="Name of the screen; default: from screen.yaml, or the folder's."),
    ] = None,
    config: Config = None,
    another_root: Annotated[
        bool,
        typer.Option(
            "--another-root", help="The folder holds further plates of a screen that is known."
        ),
    ] = False,
    force: Annotated[bool, typer.Option(help="Also redo plates that are up to date.")] = False,
    models: Annotated[bool, typer.Option(help="Train models and predict.")] = True,
) -> None:
    """Register a screen and materialize every table for it."""
    from phenolake.cli.ingest import ingest_screen

    raise typer.Exit(
        ingest_screen(
            folder, screen, config, another_root=another_root, force=force, with_models=models
        )
    )


@app.command()
def fetch(
    inbox: Annotated[
        str | None,
        typer.Argument(help="Object store such as s3://bucket/inbox; default: PHENOLAKE_INBOX."),
    ] = None,
) -> None:
    """Copy complete plates of an object-store inbox to this machine."""
    from phenolake.cli.fetch import fetch_inbox

    raise typer.Exit(fetch_inbox(inbox))


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the Dagster UI.")] = 3000,
    mlflow_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the MLflow UI.")
    ] = 5000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Start the Dagster webserver and daemon, and MLflow, on this lake."""
    from phenolake.cli.ui import serve

    raise typer.Exit(serve(host, port, mlflow_port))


@app.command()
def explore(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the pages.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    dagster_url: Annotated[
        str, typer.Option(help="Dagster's address for links to it; empty: no links.")
    ] = "http://127.0.0.1:3000",
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="A host name browsers may use for this server; repeatable."),
    ] = None,
) -> None:
    """Look at screens, plates, wells, cells, curves and maps in a browser; nothing is changed."""
    from phenolake.cli.explore import serve_pages

    raise typer.Exit(serve_pages(host, port, dagster_url, name or []))


@app.command()
def report(
    screen: Annotated[str, typer.Argument(help="Name of the screen.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", help="HTML file to write; default: <screen>.html.")
    ] = None,
    pdf: Annotated[bool, typer.Option(help="Also a PDF, where a browser is found.")] = True,
) -> None:
    """Write one HTML file about a screen to send: quality, hits, curves, pictures, versions."""
    from phenolake.cli.report import write_report

    raise typer.Exit(write_report(screen, out, pdf=pdf))


@app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(help="One SQL statement; a prompt opens without it.")
    ] = None,
    output: Annotated[
        Literal["table", "csv", "json", "parquet"],
        typer.Option("--format", help="How to write the rows."),
    ] = "table",
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write to; default: the terminal.")
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option("--at", help="Read a table at a version: TABLE=VERSION; repeatable."),
    ] = None,
) -> None:
    """Query the lake: schemas bronze, silver, gold and marts; read-only."""
    from phenolake.cli.sql import run_sql

    raise typer.Exit(run_sql(query, output, out, at or []))


@app.command()
def catalog(
    file: Annotated[Path, typer.Argument(help="DuckDB file to write.", show_default=False)],
) -> None:
    """Write a DuckDB file of views over the lake, for DuckDB clients and BI tools."""
    from phenolake.cli.sql import write_catalogue

    raise typer.Exit(write_catalogue(file))


@app.command()
def simulate(
    folder: Annotated[
        Path, typer.Argument(help="Folder to write the screen to.", show_default=False)
    ],
    preset: Annotated[
        Literal["cell_painting", "four_channel_cytotoxicity"], typer.Option(help="The assay.")
    ] = "cell_painting",
    plates: Annotated[int, typer.Option(min=1, help="Plates.")] = 1,
    wells: Annotated[int, typer.Option(help="Wells of a plate: 96 or 384.")] = 96,
    wells_used: Annotated[int | None, typer.Option(help="Fill only so many wells.")] = None,
    sites: Annotated[int, typer.Option(min=1, help="Fields of view per well.")] = 1,
    size: Annotated[int, typer.Option(min=64, help="Edge of a field, pixels.")] = 512,
    seed: Annotated[int, typer.Option(help="Another seed, another screen.")] = 0,
) -> None:
    """Write a synthetic screen with known truth."""
    from phenolake.cli.simulate import simulate_folder

    raise typer.Exit(simulate_folder(folder, preset, plates, wells, wells_used, sites, size, seed))


@app.command()
def export(
    table: Annotated[str, typer.Argument(help="Table, e.g. well_profiles.", show_default=False)],
    out: Annotated[
        Path, typer.Argument(help="File to write: .parquet, .csv or .h5ad.", show_default=False)
    ],
    screen: Annotated[str | None, typer.Option(help="Only this screen.")] = None,
    plate: Annotated[str | None, typer.Option(help="Only this plate of the screen.")] = None,
    version: Annotated[
        int | None, typer.Option(help="Version of the table; default: the newest.")
    ] = None,
) -> None:
    """Write a table for other programs: pycytominer, copairs, pandas, spreadsheets, scanpy."""
    from phenolake.cli.export import export_table

    raise typer.Exit(export_table(table, out, screen, plate, version))


ScreenName = Annotated[str, typer.Argument(help="Name of the screen.", show_default=False)]
PlateName = Annotated[str, typer.Argument(help="Name of the plate.", show_default=False)]


@app.command(name="export-images")
def export_images(
    screen: ScreenName,
    plate: PlateName,
    out: Annotated[Path, typer.Argument(help="Folder to write.", show_default=False)],
    kind: Annotated[
        Literal["ome-zarr", "tiff", "rois"],
        typer.Option("--format", help="A plate with labels, TIFF files, or ImageJ ROI sets."),
    ] = "ome-zarr",
    well: Annotated[list[str] | None, typer.Option(help="Only this well; repeatable.")] = None,
) -> None:
    """Write a plate's images with masks or outlines for other programs."""
    from phenolake.cli.export import export_images as write

    raise typer.Exit(write(screen, plate, out, kind, well or []))


@app.command()
def bundle(
    screen: ScreenName,
    out: Annotated[Path, typer.Argument(help="New folder to write.", show_default=False)],
    licence: Annotated[
        str, typer.Option(help="Licence of the data, e.g. CC-BY-4.0.", show_default=False)
    ],
    cells: Annotated[bool, typer.Option("--cells", help="Also single-cell tables.")] = False,
) -> None:
    """Write all tables of a screen with a manifest and checksums, to publish or keep."""
    from phenolake.cli.export import export_bundle

    raise typer.Exit(export_bundle(screen, out, licence, cells=cells))


@app.command()
def napari(
    screen: ScreenName,
    plate: PlateName,
    well: Annotated[str, typer.Argument(help="Name of the well.", show_default=False)],
) -> None:
    """Open a well with its masks in napari, where that is installed."""
    from phenolake.cli.export import open_in_napari

    raise typer.Exit(open_in_napari(screen, plate, well))


@app.command()
def correct(
    profiles: Annotated[
        Path,
        typer.Argument(help="Well profiles of later plates, Parquet or CSV.", show_default=False),
    ],
    out: Annotated[Path, typer.Argument(help="Parquet file to write.", show_default=False)],
    screen: Annotated[str, typer.Option(help="Screen that was fitted.", show_default=False)],
    correction: Annotated[
        str, typer.Option(help="Its correction, such as none, sphering or tvn.")
    ] = "sphering",
    version: Annotated[
        int | None, typer.Option(help="Version of fitted_recipes; default: the newest.")
    ] = None,
) -> None:
    """Correct later plates as a screen's plates were corrected, which stay as they are."""
    from phenolake.cli.correct import correct_profiles

    raise typer.Exit(correct_profiles(profiles, out, screen, correction, version))


@app.command(name="import")
def import_(
    source: Annotated[Path, typer.Argument(help="Folder or file to import.", show_default=False)],
    screen: Annotated[str, typer.Option(help="Screen the plates belong to.", show_default=False)],
    kind: Annotated[
        Literal["cellprofiler_csv", "cellprofiler_sqlite", "profiles", "masks"] | None,
        typer.Option(help="What the source is; default: detected."),
    ] = None,
    plate: Annotated[
        str | None, typer.Option(help="Name of a plate that the source does not name.")
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Batch of the plates.")] = None,
    table: Annotated[
        Literal["well_profiles", "normalized_profiles"] | None,
        typer.Option(help="Table of profiles; default: told from names and values."),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(help="Regular expression for masks: groups well, site, compartment."),
    ] = None,
    nuclei_without_cell: Annotated[
        Literal["report", "keep"], typer.Option(help="Only report them, or keep them as rows.")
    ] = "report",
    foreground: Annotated[
        int, typer.Option(min=1, help="Class of probability maps that is the object, from 1.")
    ] = 1,
    threshold: Annotated[
        float, typer.Option(help="Probability from which a pixel belongs to an object.")
    ] = 0.5,
) -> None:
    """Take over CellProfiler tables, profiles and masks that other programs made."""
    from phenolake.cli.import_tables import import_folder
    from phenolake.importing.land import Options
    from phenolake.importing.probability_maps import ProbabilityRule

    maps = ProbabilityRule(foreground, threshold)
    options = Options(plate, batch, table, pattern, nuclei_without_cell, maps)
    raise typer.Exit(import_folder(source, screen, kind, options))


@app.command()
def verify(
    screen: Annotated[str | None, typer.Option(help="Only this screen.")] = None,
    plate: Annotated[str | None, typer.Option(help="Only this plate of the screen.")] = None,
    sizes_only: Annotated[bool, typer.Option(help="Compare sizes, read no bytes.")] = False,
) -> None:
    """Check the image files against the catalogue: one line per difference, exit 1 if any."""
    from phenolake.cli.verify import verify_files

    raise typer.Exit(verify_files(screen, plate, sizes_only=sizes_only))


@app.command()
def history(
    table: Annotated[str | None, typer.Argument(help="Only this table.")] = None,
    screen: Annotated[str | None, typer.Option(help="Only this screen.")] = None,
    plate: Annotated[str | None, typer.Option(help="Only this plate.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show so many commits.")] = 40,
) -> None:
    """List the versions of the tables: when, what, which plate, which run."""
    from phenolake.cli.history import show_history

    raise typer.Exit(show_history(table, screen, plate, limit))


@app.command()
def restore(
    table: Annotated[str, typer.Argument(help="Table, e.g. well_profiles.", show_default=False)],
    version: Annotated[int, typer.Argument(help="Version to go back to.", show_default=False)],
    screen: Annotated[str | None, typer.Option(help="Only this screen.")] = None,
    plate: Annotated[str | None, typer.Option(help="Only this plate of the screen.")] = None,
) -> None:
    """Make an earlier version of a table, or of one plate in it, the newest; nothing is lost."""
    from phenolake.cli.history import restore_table

    raise typer.Exit(restore_table(table, version, screen, plate))


@app.command()
def maintain(
    keep_days: Annotated[
        float | None,
        typer.Option(
            help="Days that old versions stay readable; default: PHENOLAKE_RETENTION_DAYS."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Only count what would be deleted.")] = False,
) -> None:
    """Tidy the tables: join small files, checkpoint logs, delete files of old versions."""
    from phenolake.cli.maintain import maintain_lake

    raise typer.Exit(maintain_lake(keep_days, dry_run=dry_run))


@app.command()
def status() -> None:
    """Show plates, runs, room and delay; exit 1 when a person should look."""
    from phenolake.cli.status import show_status

    raise typer.Exit(show_status())


@app.command()
def metrics(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 9400,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Answer Prometheus: plates, queue, failures, bytes, GPU."""
    from phenolake.cli.status import serve_metrics

    raise typer.Exit(serve_metrics(host, port))


@app.command()
def doctor(
    warm: Annotated[
        bool, typer.Option("--warm", help="Also compile the kernels now, not at the first run.")
    ] = False,
) -> None:
    """Check versions, GPU, storage and free space, and say how to mend what is missing."""
    from phenolake.cli.doctor import compile_kernels, examine

    if warm:
        compile_kernels()
    raise typer.Exit(examine())
