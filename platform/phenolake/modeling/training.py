"""Training of networks that classify crops or whole fields."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from phenolake.errors import TrainingDataError
from phenolake.modeling.checkpoints import Checkpoint, training_fingerprint
from phenolake.modeling.labels import EncodedLabels, checked_parts, encode_labels
from phenolake.modeling.learning.classification import ClassificationTask, Labelled
from phenolake.modeling.learning.fitting import Epoch, Fit, epoch_seed, reproducible
from phenolake.modeling.learning.recipe import Recipe
from phenolake.modeling.networks import (
    CNN_MODELS,
    Layout,
    build_network,
    load_body,
    named_model,
    torch_device,
)
from phenolake.modeling.novelty import NoveltyReference
from phenolake.modeling.trained_network import (
    TrainedNetwork,
    as_crops,
    channel_statistics,
    pixel_statistics,
)

if TYPE_CHECKING:
    import torch

_Statistics = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
_STATISTICS: dict[str, _Statistics] = {"channel": channel_statistics, "pixel": pixel_statistics}


def train_network(
    crops: np.ndarray,
    labels: Iterable[object],
    split: np.ndarray,
    *,
    model: str | Layout = "cnn2",
    recipe: Recipe | None = None,
    epochs: int = 20,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    l2: float | None = None,
    seed: int = 0,
    device: str = "auto",
    augmentation: bool = True,
    class_balanced: bool = False,
    standardized_by: Literal["channel", "pixel"] = "channel",
    start_from: Path | None = None,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    full_scale: float | None = None,
) -> TrainedNetwork:
    """Return a network trained on the `train` part of single-cell crops, or of whole fields.

    Parameters
    ----------
    crops
        uint8 (other types: see `as_uint8`), shape (n, channel, size, size); may be mapped from
        disk, as `CropSet.pixels` is.
    labels, split
        Class and part (`train`, `validation`) of each crop.
    model
        A name that `named_model` knows, or a layout (with the recipe of `cnn2`).
    recipe
        How to optimise, in place of the network's own recipe.
    batch_size, learning_rate, l2
        Replace those of the recipe.
    device
        `auto` takes a CUDA device if there is one; else a torch device name.
    class_balanced
        Draw every class equally often, with replacement.
    standardized_by
        Mean and SD of each channel, or of each pixel as in the study.
    start_from
        File of weights for the network's body, see `load_body`.
    checkpoint
        Folder for the state after each epoch. A call with the same data and settings goes on from
        there and ends with the same weights as one that never stopped; where the rate keeps to no
        schedule, more epochs may be asked.
    on_epoch
        Called after each epoch with its row of the curves.

    Notes
    -----
    Draws depend on seed and epoch only. On one CPU and thread count the weights are the same to the
    bit. Without `patience` in the recipe the validation part chooses nothing and the last epoch's
    weights are returned; with it, the best epoch's, and the validation scores flatter a little.

    Raises
    ------
    TrainingDataError
        If labels, split or pixels can't train a model (see `checked_parts`, `as_uint8`).
    TrainingDivergedError
        If the loss stops being finite.
    TrainingMemoryError
        If the device can't hold a single crop's training.
    DiskFullError
        If a checkpoint can't be written; the one before stays.

    References
    ----------
    Leuchowius (2017): batches of 100, cross entropy plus coupled L2, no schedule.
    """
    crops = as_crops(crops, full_scale)
    encoded = encode_labels(labels)
    if len(crops) != len(encoded.codes):
        raise TrainingDataError(f"{len(crops)} crops, but {len(encoded.codes)} labels")
    train, held = checked_parts(encoded, split)
    layout, recipe = _layout_and_recipe(model, recipe, encoded, crops.shape)
    changes: dict[str, Any] = {"batch_size": batch_size, "learning_rate": learning_rate, "l2": l2}
    recipe = replace(
        recipe, **{name: value for name, value in changes.items() if value is not None}
    )
    settings = {
        "architecture": layout.as_dict(),
        "recipe": asdict(recipe),
        "seed": seed,
        "augmentation": augmentation,
        "class_balanced": class_balanced,
        "standardized_by": standardized_by,
        "start_from": _sha256(start_from),
    }
    mean, sd = _STATISTICS[standardized_by](crops, train)
    device = torch_device(device)
    with reproducible(device):
        labelled = Labelled(crops, encoded.codes, train, held, mean, sd)
        network = _first_weights(layout, start_from, seed).to(device)
        task = ClassificationTask(network, labelled, recipe, augmentation, class_balanced, device)
        fit = Fit(task, recipe, epochs, seed, device)
        saved = None
        if checkpoint is not None:
            # A rate that falls till the end makes another training of other epochs.
            length = {} if recipe.schedule == "constant" else {"epochs": epochs}
            parts = (crops, encoded.codes, train, held)
            saved = Checkpoint(checkpoint, training_fingerprint({**settings, **length}, *parts))
        fit.run(saved, on_epoch)
        hidden, known = task.embeddings(task.train), task.embeddings(task.held)
    state = network.state_dict()
    return TrainedNetwork(
        architecture=layout,
        classes=encoded.classes,
        state={name: value.detach().cpu().numpy() for name, value in state.items()},
        mean=mean,
        sd=sd,
        novelty=NoveltyReference.fit(hidden, encoded.codes[train], known),
        history=fit.history,
        settings={**settings, "epochs": epochs},
        full_scale=full_scale,
    )


def _layout_and_recipe(
    model: str | Layout, recipe: Recipe | None, labels: EncodedLabels, shape: tuple[int, ...]
) -> tuple[Layout, Recipe]:
    classes, channels, size = len(labels.classes), shape[1], shape[2]
    if isinstance(model, str):
        layout, own = named_model(model, classes, channels, size)
        return layout, recipe or own
    if (model.classes, model.channels, model.size) != (classes, channels, size):
        raise TrainingDataError(
            f"the layout is for {(model.classes, model.channels, model.size)} classes, channels "
            f"and pixels, the data has {(classes, channels, size)}"
        )
    return model, recipe or CNN_MODELS["cnn2"][1]


def _first_weights(layout: Layout, start_from: Path | None, seed: int) -> torch.nn.Sequential:
    import torch

    torch.manual_seed(epoch_seed(seed, 0))
    network = build_network(layout)
    if start_from is not None:
        load_body(network, start_from)
    return network


def _sha256(path: Path | None) -> str | None:
    if path is None or not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
