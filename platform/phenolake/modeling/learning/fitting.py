"""The loop that every network is trained by: seeded, resumable to the bit, sparing with memory."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from phenolake.errors import ModelFileError, TrainingDivergedError, TrainingMemoryError
from phenolake.modeling.checkpoints import Checkpoint
from phenolake.modeling.learning.pool import CropPool
from phenolake.modeling.learning.rates import rate_factor
from phenolake.modeling.learning.recipe import Recipe

if TYPE_CHECKING:
    import torch

Epoch = dict[str, float]


class Task(Protocol):
    """What a network learns from crops."""

    network: torch.nn.Module
    pool: CropPool

    def order(self, generator: torch.Generator) -> torch.Tensor:
        """Row numbers of one epoch's crops, in the order in which they are met."""
        ...

    def losses(
        self,
        network: Callable[[torch.Tensor], torch.Tensor],
        crops: torch.Tensor,
        rows: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of each crop, and whether the network was right about it."""
        ...

    def judge(self) -> Epoch:
        """How good the network is on crops it does not learn from; has `validation_loss`."""
        ...


class Fit:
    """The moving parts of one training.

    A batch that does not fit into the device's memory is halved until it does; the gradients of the
    parts are added up, so that a step still sees the whole batch.
    """

    def __init__(self, task: Task, recipe: Recipe, epochs: int, seed: int, device: str) -> None:
        import torch

        self.task, self.recipe, self.epochs, self.seed = task, recipe, epochs, seed
        self.device = torch.device(device).type
        on_gpu = self.device == "cuda"
        if on_gpu:
            task.network.to(memory_format=torch.channels_last)
        self.optimizer = _optimizer(task.network, recipe)
        precision = recipe.precision
        if precision == "auto":
            precision = "bfloat16" if on_gpu else "float32"
        self.precision = getattr(torch, precision)
        self.scaler = torch.amp.GradScaler(self.device, enabled=precision == "float16")
        self.forward = torch.compile(task.network) if recipe.compiled else task.network
        self.history: list[Epoch] = []
        self.piece = recipe.batch_size
        self.best: dict[str, torch.Tensor] | None = None
        self.best_epoch = 0

    def run(
        self, saved: Checkpoint | None = None, on_epoch: Callable[[Epoch], None] | None = None
    ) -> None:
        """Train to the last epoch, or until the validation loss falls no more.

        Raises
        ------
        TrainingDivergedError
            If the loss stops being finite.
        TrainingMemoryError
            If the device can't hold the training of a single crop.
        ModelFileError
            If the checkpoint is that of another network.
        """
        if saved is not None:
            self._restore(saved)
        while len(self.history) < self.epochs and not self._is_exhausted:
            row = self._epoch(len(self.history) + 1)
            if saved is not None:
                saved.save(self._state())
            if on_epoch is not None:
                on_epoch(row)
        if self.best is not None:
            self.task.network.load_state_dict(self.best)

    @property
    def _is_exhausted(self) -> bool:
        patience = self.recipe.patience
        return patience is not None and len(self.history) - self.best_epoch >= patience

    def _epoch(self, number: int) -> Epoch:
        import torch

        started = time.perf_counter()
        seed = epoch_seed(self.seed, number)
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # dropout draws from the global generator
        self.task.network.train()
        loss_sum, hits = (torch.zeros((), device=self.device) for _ in range(2))
        batches = list(self.task.order(generator).split(self.recipe.batch_size))
        if len(batches) > 1 and len(batches[-1]) == 1:
            batches.pop()  # batch normalisation can't do with one crop
        for step, (rows, crops) in enumerate(self.task.pool.batches(batches)):
            self._set_rate((number - 1 + (step + 1) / len(batches)) / self.epochs)
            loss, right = self._learn(crops, rows, generator)
            loss_sum += loss
            hits += right
        count = sum(len(rows) for rows in batches)
        train_loss = loss_sum.item() / count
        if not np.isfinite(train_loss):
            raise TrainingDivergedError(number, self.recipe.learning_rate)
        row = {
            "epoch": float(number),
            "train_loss": train_loss,
            "train_accuracy": hits.item() / count,
            **self.task.judge(),
            "learning_rate": float(self.optimizer.param_groups[0]["lr"]),
            "seconds": time.perf_counter() - started,
        }
        self.history.append(row)
        self._remember(row)
        return row

    def _set_rate(self, progress: float) -> None:
        warm_up = min(self.recipe.warm_up / self.epochs, 1.0)
        factor = rate_factor(self.recipe.schedule, progress, warm_up)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * factor

    def _learn(
        self, crops: torch.Tensor, rows: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step of the optimiser; returns the sums of losses and of right answers."""
        import torch

        draws = generator.get_state()
        while True:
            try:
                return self._step(crops, rows, generator)
            except torch.OutOfMemoryError:
                # Not retried here: until the exception is gone, so is not the memory it holds.
                piece = min(self.piece, len(crops)) // 2
            if not piece:
                raise TrainingMemoryError(self.device, tuple(crops.shape[1:]))
            self.piece = piece
            generator.set_state(draws)
            if self.device == "cuda":
                torch.cuda.empty_cache()

    def _step(
        self, crops: torch.Tensor, rows: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        self.optimizer.zero_grad(set_to_none=True)
        sums = []
        for part, part_rows in zip(crops.split(self.piece), rows.split(self.piece), strict=True):
            with torch.autocast(
                self.device, self.precision, enabled=self.precision != torch.float32
            ):
                losses, right = self.task.losses(self.forward, part, part_rows, generator)
            self.scaler.scale(losses.sum() / len(rows)).backward()
            sums.append((losses.detach().sum(), right.sum()))
        if self.recipe.largest_gradient is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(
                self.task.network.parameters(), self.recipe.largest_gradient
            )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        loss, right = (torch.stack(parts).sum() for parts in zip(*sums, strict=True))
        return loss, right

    def _remember(self, row: Epoch) -> None:
        """Keep the weights of the best epoch, where training may stop early."""
        if self.recipe.patience is None:
            return
        losses = [past["validation_loss"] for past in self.history[:-1]]
        if row["validation_loss"] < min(losses, default=np.inf):
            self.best = copy.deepcopy(self.task.network.state_dict())
            self.best_epoch = len(self.history)

    def _state(self) -> dict[str, Any]:
        """All that the next epoch needs."""
        return {
            "network": self.task.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": self.history,
            "piece": self.piece,
            "best": self.best,
            "best_epoch": self.best_epoch,
        }

    def _restore(self, saved: Checkpoint) -> None:
        """Go on from a saved state, unless there is none or it is past the epochs asked for."""
        state = saved.load(self.device)
        try:
            if state is None or len(state["history"]) > self.epochs:
                return
            self.task.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            self.history, self.piece = state["history"], state["piece"]
            self.best, self.best_epoch = state["best"], state["best_epoch"]
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise ModelFileError(
                saved.path, "a checkpoint of another network or version; delete it to start anew"
            ) from error


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of an epoch's draws; epoch 0 is the draw of the first weights."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


@contextmanager
def reproducible(device: str) -> Iterator[None]:
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


def _optimizer(network: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    import torch

    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": recipe.l2},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    return kind(groups, lr=recipe.learning_rate)
