"""The training loop of the networks: seeded, resumable, all data in memory as tensors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phenolake.errors import TrainingDataError, TrainingDivergedError
from phenolake.modeling.checkpoints import Checkpoint, training_fingerprint
from phenolake.modeling.labels import checked_parts, encode_labels
from phenolake.modeling.learning.augmentation import augment
from phenolake.modeling.networks import (
    CNN_MODELS,
    Architecture,
    Recipe,
    build_network,
    named_model,
    torch_device,
)
from phenolake.modeling.novelty import NoveltyReference
from phenolake.modeling.trained_network import (
    TrainedNetwork,
    as_crops,
    channel_statistics,
    forward,
    standardize,
)

if TYPE_CHECKING:
    import torch

Epoch = dict[str, float]


def train_network(
    crops: np.ndarray,
    labels: Iterable[object],
    split: np.ndarray,
    *,
    model: str | Architecture = "cnn2",
    epochs: int = 20,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    l2: float | None = None,
    seed: int = 0,
    device: str = "auto",
    augmentation: bool = True,
    class_balanced: bool = False,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    full_scale: float | None = None,
) -> TrainedNetwork:
    """Return a convolutional network trained on the `train` part of single-cell crops.

    Parameters
    ----------
    crops
        uint8 (other types: see `as_uint8`), shape (n, channel, size, size).
    labels, split
        Class and part (`train`, `validation`) of each crop.
    model
        `cnn1`, `cnn2`, `cnn3`, or a layout (with the recipe of `cnn2`).
    batch_size, learning_rate, l2
        Replace those of the recipe.
    device
        `auto` takes a CUDA device if there is one; else a torch device name.
    class_balanced
        Draw every class equally often, with replacement.
    checkpoint
        Folder for the state after each epoch. A call with the same data and settings goes on from
        there and ends with the same weights as one that never stopped; more epochs may be asked.
    on_epoch
        Called after each epoch with its row of the curves.

    Notes
    -----
    Draws depend on seed and epoch only. On one CPU and thread count the weights are the same to the
    bit. The validation part chooses nothing: the last epoch's weights are returned.

    Raises
    ------
    TrainingDataError
        If labels, split or pixels can't train a model (see `checked_parts`, `as_uint8`).
    TrainingDivergedError
        If the loss stops being finite.

    References
    ----------
    Leuchowius (2017): batches of 100, cross entropy plus coupled L2, no schedule.
    """
    crops = as_crops(crops, full_scale)
    encoded = encode_labels(labels)
    if len(crops) != len(encoded.codes):
        raise TrainingDataError(f"{len(crops)} crops, but {len(encoded.codes)} labels")
    train, validation = checked_parts(encoded, split)
    if isinstance(model, str):
        architecture, recipe = named_model(
            model, len(encoded.classes), crops.shape[1], crops.shape[2]
        )
    else:
        architecture, recipe = (
            _fitting(model, len(encoded.classes), crops.shape),
            CNN_MODELS["cnn2"][1],
        )
    changes: dict[str, Any] = {"batch_size": batch_size, "learning_rate": learning_rate, "l2": l2}
    recipe = replace(
        recipe, **{name: value for name, value in changes.items() if value is not None}
    )
    settings = {
        "architecture": architecture.as_dict(),
        "recipe": asdict(recipe),
        "seed": seed,
        "augmentation": augmentation,
        "class_balanced": class_balanced,
    }
    mean, sd = channel_statistics(crops[train])
    run = _Run(architecture, recipe, settings, torch_device(device), mean, sd)
    with _reproducible(run.device):
        run.start()
        saved = None
        if checkpoint is not None:
            parts = (crops, encoded.codes, train, validation)
            saved = Checkpoint(checkpoint, training_fingerprint(settings, *parts))
            run.restore(saved, epochs)
        run.load(crops[train], encoded.codes[train], crops[validation], encoded.codes[validation])
        for epoch in range(len(run.history) + 1, epochs + 1):
            row = run.epoch(epoch)
            if saved is not None:
                saved.save(run.state())
            if on_epoch is not None:
                on_epoch(row)
        return run.result(encoded.classes, epochs, full_scale)


class _Run:
    """The moving parts of one training: network, optimiser, tensors and curves."""

    def __init__(
        self,
        architecture: Architecture,
        recipe: Recipe,
        settings: dict[str, Any],
        device: str,
        mean: np.ndarray,
        sd: np.ndarray,
    ) -> None:
        self.architecture, self.recipe, self.settings = architecture, recipe, settings
        self.device, self.mean, self.sd = device, mean, sd
        self.history: list[Epoch] = []

    def start(self) -> None:
        """Draw the first weights."""
        import torch

        torch.manual_seed(_epoch_seed(self.settings["seed"], 0))
        self.network = build_network(self.architecture).to(self.device)
        self.optimizer = _optimizer(self.network, self.recipe)

    def load(
        self, crops: np.ndarray, codes: np.ndarray, held_crops: np.ndarray, held_codes: np.ndarray
    ) -> None:
        """Put both parts on the device, still as uint8."""
        import torch

        self.crops = torch.from_numpy(crops).to(self.device)
        self.codes = torch.from_numpy(codes).to(self.device)
        self.held_crops = torch.from_numpy(held_crops).to(self.device)
        self.held_codes = held_codes
        shares = 1 / np.bincount(codes)[codes]
        self.weights = torch.from_numpy(shares) if self.settings["class_balanced"] else None

    def epoch(self, number: int) -> Epoch:
        """Train one epoch, judge it on the validation part and return its row of the curves."""
        import torch

        started = time.perf_counter()
        seed = _epoch_seed(self.settings["seed"], number)
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # dropout draws from the global generator
        self.network.train()
        loss_sum = torch.zeros((), device=self.device)
        hits = torch.zeros((), device=self.device)
        order = self._order(generator)
        for chosen in order.split(self.recipe.batch_size):
            chosen = chosen.to(self.device)
            crops, codes = self.crops[chosen], self.codes[chosen]
            if self.settings["augmentation"]:
                crops = augment(crops, generator)
            logits = self.network(standardize(crops, self.mean, self.sd))
            loss = torch.nn.functional.cross_entropy(logits, codes)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            loss_sum += loss.detach() * len(chosen)
            hits += (logits.detach().argmax(dim=1) == codes).sum()
        train_loss = loss_sum.item() / len(order)
        if not np.isfinite(train_loss):
            raise TrainingDivergedError(number, self.recipe.learning_rate)
        probabilities = forward(self.network, self.held_crops, self.mean, self.sd)[0]
        own = probabilities[np.arange(len(self.held_codes)), self.held_codes].astype(np.float64)
        row = {
            "epoch": float(number),
            "train_loss": train_loss,
            "train_accuracy": hits.item() / len(order),
            "validation_loss": float(-np.log(np.clip(own, 1e-15, 1)).mean()),
            "validation_accuracy": float((probabilities.argmax(axis=1) == self.held_codes).mean()),
            "seconds": time.perf_counter() - started,
        }
        self.history.append(row)
        return row

    def _order(self, generator: torch.Generator) -> torch.Tensor:
        import torch

        if self.weights is not None:
            return torch.multinomial(
                self.weights, len(self.crops), replacement=True, generator=generator
            )
        return torch.randperm(len(self.crops), generator=generator)

    def state(self) -> dict[str, Any]:
        """All that the next epoch needs."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
        }

    def restore(self, checkpoint: Checkpoint, epochs: int) -> None:
        """Go on from a saved state, unless there is none or it is past the epochs asked for."""
        state = checkpoint.load(self.device)
        if state is not None and len(state["history"]) <= epochs:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.history = state["history"]

    def result(
        self, classes: tuple[str, ...], epochs: int, full_scale: float | None
    ) -> TrainedNetwork:
        """Return the trained network as plain arrays."""
        hidden = forward(self.network, self.crops, self.mean, self.sd)[1]
        known = forward(self.network, self.held_crops, self.mean, self.sd)[1]
        weights = self.network.state_dict()
        return TrainedNetwork(
            architecture=self.architecture,
            classes=classes,
            state={name: value.detach().cpu().numpy() for name, value in weights.items()},
            mean=self.mean,
            sd=self.sd,
            novelty=NoveltyReference.fit(hidden, self.codes.cpu().numpy(), known),
            history=self.history,
            settings={**self.settings, "epochs": epochs},
            full_scale=full_scale,
        )


def _optimizer(network: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    import torch

    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": recipe.l2},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[recipe.optimizer]
    return kind(groups, lr=recipe.learning_rate)


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def _fitting(architecture: Architecture, classes: int, shape: tuple[int, ...]) -> Architecture:
    wanted = (architecture.classes, architecture.channels, architecture.size)
    if wanted != (classes, shape[1], shape[2]):
        raise TrainingDataError(
            f"the layout is for {wanted} classes, channels and pixels, "
            f"the data has {(classes, *shape[1:3])}"
        )
    return architecture


@contextmanager
def _reproducible(device: str) -> Iterator[None]:
    """Deterministic algorithms, and torch's global generator left as it was found."""
    import torch

    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
