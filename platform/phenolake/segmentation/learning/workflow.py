"""Training a segmentation network on annotated images, from folder to judged and recorded weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from phenolake.segmentation.compact import CompactSegmenter
from phenolake.segmentation.compact_network import CompactLayout
from phenolake.segmentation.compact_weights import SHIPPED, read_compact, save_compact
from phenolake.segmentation.learning.card import segmentation_card
from phenolake.segmentation.learning.examples import (
    PARTS,
    Example,
    read_examples,
    simulated_examples,
    split_examples,
)
from phenolake.segmentation.learning.judging import mean_average_precision, scores_by_condition
from phenolake.segmentation.learning.loop import (
    Round,
    TrainedCompact,
    TrainingSettings,
    train_compact,
)
from phenolake.segmentation.learning.pictures import write_pictures

if TYPE_CHECKING:
    import torch

WEIGHTS_FILE = "compact.safetensors"
CARD_FILE = "README.md"
CURVES_FILE = "curves.csv"
SCORES_FILE = "scores.csv"
#: Seed of the simulated examples; they are the same in every training.
_SIMULATION_SEED = 20180


@dataclass(frozen=True, eq=False)
class Trained:
    """Trained weights on disk, and how well they do.

    Attributes
    ----------
    folder
        Holds `compact.safetensors`, the model card, curves and scores.
    scores
        Of the test part, or of the validation part where there is no test part.
    split_sha256
        Over the names of the images in each part.
    """

    folder: Path
    weights_sha256: str
    split_sha256: str
    trained: TrainedCompact
    scores: pl.DataFrame
    judged_on: str
    parts: Mapping[str, Sequence[Example]] = field(repr=False)

    @property
    def weights(self) -> Path:
        """The weights file, as an absolute path."""
        return (self.folder / WEIGHTS_FILE).resolve()


def train_segmentation(
    images: Path,
    out: Path,
    *,
    base: Path | None = SHIPPED,
    settings: TrainingSettings | None = None,
    simulated: int = 0,
    left_out: str | None = None,
    validation: float = 0.08,
    test: float = 0.15,
    keep: Literal["best", "last"] = "best",
    checkpoint: Path | None = None,
    device: str = "auto",
    on_round: Callable[[Round], None] | None = None,
    command: str = "",
) -> Trained:
    """Train `compact` on a folder of images and label masks, judge it, and write it to a folder.

    Parameters
    ----------
    images
        See `read_examples` for the layouts that are known.
    base
        Weights to start from; None for random ones.
    simulated
        Simulated fields to learn from besides.
    left_out
        A condition that is only tested on.
    validation, test
        Share of each condition in these parts.
    keep
        Weights of the round that did best on the validation part, or of the last round.
    checkpoint
        Folder for the state of the training, by default inside `out`; a killed run goes on there.
    command
        For the model card.

    Raises
    ------
    TrainingDataError
        If the images can't train a network.
    ModelFileError
        If the base is no weights file of `compact`.
    """
    settings = settings or TrainingSettings()
    examples = read_examples(images)
    parts = split_examples(
        examples, seed=settings.seed, test=test, validation=validation, left_out=left_out
    )
    start_from, layout = None, CompactLayout()
    if base is not None:
        network, _ = read_compact(base)
        start_from, layout = network.state_dict(), network.layout
    trained = train_compact(
        parts["train"],
        simulated_examples(simulated, _SIMULATION_SEED) if simulated else (),
        layout=layout,
        settings=settings,
        start_from=start_from,
        judge=_judge_of(parts["validation"]) if keep == "best" else None,
        checkpoint=checkpoint or out / "checkpoints",
        device=device,
        on_round=on_round,
    )
    facts = {
        "Images": f"{len(examples)} of {images.name}",
        "Simulated fields": simulated,
        "Left out": left_out or "no condition",
        "Start": "random weights" if base is None else base.name,
        "Settings": json.dumps(asdict(settings)),
        "Weights of round": f"{trained.best_round} of {len(trained.history)}",
    }
    return write_trained(trained, parts, out, facts, command)


def write_trained(
    trained: TrainedCompact,
    parts: Mapping[str, Sequence[Example]],
    out: Path,
    facts: Mapping[str, Any],
    command: str,
) -> Trained:
    """Write weights, model card, curves, pictures and test scores of a finished training."""
    path = out / WEIGHTS_FILE
    save_compact(trained.network, trained.layout, path, facts)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    judged_on = next(part for part in ("test", "validation", "train") if parts[part])
    find = CompactSegmenter.load(path).find_nuclei
    scores = scores_by_condition(parts[judged_on], find)
    scores.write_csv(out / SCORES_FILE)
    if trained.history:
        pl.DataFrame(trained.history).write_csv(out / CURVES_FILE)
    write_pictures(out, trained.history, parts[judged_on], find)
    card = segmentation_card("compact", facts, parts, scores, digest, command)
    (out / CARD_FILE).write_text(card)
    names = {part: sorted(example.name for example in parts[part]) for part in PARTS}
    split = hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()
    return Trained(out, digest, split, trained, scores, judged_on, parts)


def _judge_of(examples: Sequence[Example]) -> Callable[[torch.nn.Module], float] | None:
    if not examples:
        return None

    def judge(network: torch.nn.Module) -> float:
        import copy

        device = next(network.parameters()).device.type
        finder = CompactSegmenter.of(copy.deepcopy(network), device)
        return mean_average_precision(examples, finder.find_nuclei)

    return judge
