"""`phenolake models`: train segmentation networks and classifiers of cells, and apply them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

models_app = typer.Typer(
    help="Train segmentation networks and classifiers of cells, and apply them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_LARGEST_PATIENCE = 1000


@models_app.command()
def train(
    images: Annotated[
        Path,
        typer.Argument(
            help="Folder with images/NAME.png and masks/NAME.png, or NAME.tif and NAME_masks.tif.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for weights, card, curves and scores.")] = Path(
        "segmentation_network"
    ),
    base: Annotated[
        str,
        typer.Option(help="compact, a weights file, cellpose:<name or path>, or none for new."),
    ] = "compact",
    steps: Annotated[int, typer.Option(min=1, help="Batches to learn from.")] = 1000,
    batch_size: Annotated[int, typer.Option(min=1, help="Crops in a batch.")] = 8,
    learning_rate: Annotated[float | None, typer.Option(help="Default: 1e-3 new, 2e-4 tuned.")] = (
        None
    ),
    simulated: Annotated[int, typer.Option(min=0, help="Simulated fields to add.")] = 0,
    as_recorded: Annotated[
        float, typer.Option(min=0, max=0.99, help="Share of crops neither turned nor re-exposed.")
    ] = 0.6,
    left_out: Annotated[
        str | None, typer.Option(help="Condition (see index.csv) that is only tested on.")
    ] = None,
    patience: Annotated[
        int, typer.Option(help="Stop after so many rounds that are no better; 0: never.")
    ] = 8,
    blend: Annotated[
        float, typer.Option(min=0, max=0.99, help="Share of the base's weights in the result.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of split, weights and draws.")] = 0,
    keep_last: Annotated[
        bool, typer.Option("--keep-last", help="Keep the last weights, not the best round's.")
    ] = False,
    register: Annotated[
        str | None, typer.Option(help="Record in MLflow and register under this name.")
    ] = None,
) -> None:
    """Train on your images and label masks; a killed training goes on where it stopped."""
    from phenolake.cli.train_segmentation import Request, run_training

    request = Request(
        images, out, base, steps, batch_size, learning_rate, simulated, as_recorded, left_out,
        patience or _LARGEST_PATIENCE, blend, seed, keep_last, register,
    )  # fmt: skip
    raise typer.Exit(run_training(request))


@models_app.command()
def card(
    weights: Annotated[
        Path | None, typer.Argument(help="Folder of a training; default: the shipped network.")
    ] = None,
) -> None:
    """Show the model card of a segmentation network."""
    from phenolake.cli.train_segmentation import show_card

    raise typer.Exit(show_card(weights))


_Model = Annotated[
    str,
    typer.Option(
        help="models:/NAME@champion, models:/NAME/VERSION or a folder.", show_default=False
    ),
]


@models_app.command()
def classify(
    crops: Annotated[
        Path, typer.Argument(help="Folder with crops.npz and index.csv.", show_default=False)
    ],
    name: Annotated[str, typer.Option(help="Name in the registry.")] = "cells",
    label: Annotated[str, typer.Option(help="Column with the classes.")] = "label",
    group: Annotated[str, typer.Option(help="Column of which values are held out.")] = "plate",
    method: Annotated[
        str,
        typer.Option(help="lda, logistic, svm, forest, boosting, several joined by +, or network."),
    ] = "lda",
    folds: Annotated[
        int, typer.Option(min=0, help="Hold every value out once in so many; 0: a fifth, once.")
    ] = 5,
    seed: Annotated[int, typer.Option(help="Seed of folds and training.")] = 0,
) -> None:
    """Train a classifier on labelled crops, calibrate it, judge it and register it."""
    from phenolake.cli.classify import train_classifier

    raise typer.Exit(train_classifier(crops, name, label, group, method, folds, seed))


@models_app.command()
def predict(
    crops: Annotated[
        Path,
        typer.Argument(help="Folder with crops.npz, or an NPZ or NPY file.", show_default=False),
    ],
    model: _Model,
    out: Annotated[Path | None, typer.Option(help="CSV or Parquet file to write.")] = None,
    label: Annotated[
        str | None, typer.Option(help="Column of index.csv with the truth, to print scores.")
    ] = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Label cells unlike all classes as unknown.")
    ] = False,
) -> None:
    """Classify crops with a registered or stored model."""
    from phenolake.cli.classify import predict_crops

    raise typer.Exit(predict_crops(crops, model, out, label, unknown))


@models_app.command("list")
def list_versions() -> None:
    """List registered models, their versions, aliases and held-out scores."""
    from phenolake.cli.classify import list_models

    raise typer.Exit(list_models())


@models_app.command()
def promote(
    model: Annotated[str, typer.Argument(help="models:/NAME/VERSION.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Even if it is no better.")] = False,
) -> None:
    """Make a version the champion if it beats the present one on held-out groups."""
    from phenolake.cli.classify import promote_model

    raise typer.Exit(promote_model(model, force))


@models_app.command()
def fetch(
    model: Annotated[str, typer.Argument(help="models:/NAME@champion.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder to copy into.")] = Path(),
) -> None:
    """Copy a registered model's files out of the registry."""
    from phenolake.cli.classify import fetch_model

    raise typer.Exit(fetch_model(model, out))


@models_app.command()
def register(
    folder: Annotated[Path, typer.Argument(help="Folder with model.json.", show_default=False)],
    name: Annotated[str, typer.Option(help="Name in the registry.")] = "cells",
) -> None:
    """Make a stored model a candidate of the registry."""
    from phenolake.cli.classify import register_model

    raise typer.Exit(register_model(folder, name))


@models_app.command()
def queue(
    screen: Annotated[str, typer.Argument(help="Name of the screen.", show_default=False)],
    out: Annotated[Path, typer.Option(help="CSV file to write.")] = Path("labels.csv"),
    strategy: Annotated[
        str, typer.Option(help="least_confident, margin or vote_entropy.")
    ] = "margin",
    model: Annotated[
        str | None, typer.Option(help="Registered name; default: the first of the screen's.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Cells to label.")] = 100,
) -> None:
    """Write the cells to label next as a CSV file with an empty column `label`."""
    from phenolake.cli.classify import write_queue

    raise typer.Exit(write_queue(screen, out, strategy, model, count))
