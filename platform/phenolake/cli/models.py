"""`phenolake models`: train a segmentation network on your own images, and look at its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

models_app = typer.Typer(
    help="Train segmentation networks and look at them.",
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
        patience or _LARGEST_PATIENCE, seed, keep_last, register,
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
