"""`phenolake models train` and `card`: progress on the terminal, then the test scores."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from phenolake.errors import ConfigurationError, ModelFileError
from phenolake.modeling.versions import check_model_name

if TYPE_CHECKING:
    from phenolake.segmentation.learning.workflow import Trained


@dataclass(frozen=True)
class Request:
    """The arguments of `phenolake models train`."""

    images: Path
    out: Path
    base: str
    steps: int
    batch_size: int
    learning_rate: float | None
    simulated: int
    as_recorded: float
    left_out: str | None
    patience: int
    blend: float
    seed: int
    keep_last: bool
    register: str | None

    @property
    def command(self) -> str:
        """The command that trains the same weights."""
        words = ["phenolake", "models", "train", self.images.name, "--base", self.base]
        words += ["--steps", str(self.steps), "--batch-size", str(self.batch_size)]
        words += ["--simulated", str(self.simulated), "--as-recorded", str(self.as_recorded)]
        words += ["--seed", str(self.seed)]
        if self.learning_rate is not None:
            words += ["--learning-rate", str(self.learning_rate)]
        if self.blend:
            words += ["--blend", str(self.blend)]
        if self.left_out:
            words += ["--left-out", self.left_out]
        words += ["--keep-last"] if self.keep_last else ["--patience", str(self.patience)]
        return shlex.join(words)


def run_training(request: Request) -> int:
    """Train, show a line per round, print the scores; return the exit code."""
    if request.register:
        check_model_name(request.register)
    if request.base.startswith("cellpose:"):
        if request.register:
            raise ConfigurationError(
                "--register keeps compact networks; name tuned Cellpose weights by their file"
            )
        from phenolake.segmentation.learning.cellpose_tuning import tune_cellpose

        typer.echo(
            tune_cellpose(
                request.base.removeprefix("cellpose:"),
                request.images,
                request.out,
                seed=request.seed,
            )
        )
        return 0
    from phenolake.segmentation.compact_weights import SHIPPED
    from phenolake.segmentation.learning.loop import Round, TrainingSettings
    from phenolake.segmentation.learning.workflow import train_segmentation

    base = {"none": None, "compact": SHIPPED}.get(request.base, Path(request.base))
    settings = TrainingSettings(
        steps=request.steps,
        steps_per_round=min(250, max(1, request.steps // 4)),
        batch_size=request.batch_size,
        learning_rate=request.learning_rate or (1e-3 if base is None else 2e-4),
        as_recorded=request.as_recorded,
        patience=None if request.keep_last else request.patience,
        blend=request.blend,
        seed=request.seed,
    )

    def show(row: Round) -> None:
        score = f", validation {row['validation_score']:.3f}" if "validation_score" in row else ""
        loss = row["flow_loss"] + row["probability_loss"]
        typer.echo(
            f"step {int(row['step'])} of {request.steps}: loss {loss:.3f}{score}, "
            f"{row['seconds']:.0f} s",
            err=True,
        )

    trained = train_segmentation(
        request.images,
        request.out,
        base=base,
        settings=settings,
        simulated=request.simulated,
        left_out=request.left_out,
        keep="last" if request.keep_last else "best",
        on_round=show,
        command=request.command,
    )
    typer.echo(f"scores on the {trained.judged_on} part:")
    for row in trained.scores.iter_rows(named=True):
        typer.echo(
            f"  {row['condition']:>16}  IoU {row['threshold']}  F1 {row['f1']:.3f}  "
            f"AP {row['ap']:.3f}  {row['objects']} objects in {row['images']} images"
        )
    typer.echo(f"in screen.yaml: segmentation: compact:{trained.weights}")
    if request.register:
        _register(request.register, trained)
    return 0


def _register(name: str, trained: Trained) -> None:
    from phenolake.modeling.tracking import Tracker
    from phenolake.segmentation.learning.registry import record_training

    version, reason = record_training(trained, Tracker(), name)
    typer.echo(f"registered: {version.uri} ({reason})")


def show_card(folder: Path | None) -> int:
    """Print a model card; return the exit code."""
    from phenolake.segmentation.compact_weights import SHIPPED
    from phenolake.segmentation.learning.workflow import CARD_FILE

    path = SHIPPED.with_suffix(".md") if folder is None else folder / CARD_FILE
    try:
        typer.echo(path.read_text())
    except OSError as error:
        raise ModelFileError(path, "no model card there") from error
    return 0
