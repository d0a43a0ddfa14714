"""The training loop of `compact`: seeded, resumable to the bit, mixed precision, averaged weights."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phenolake.errors import ConfigurationError, TrainingDivergedError
from phenolake.modeling.checkpoints import Checkpoint, training_fingerprint
from phenolake.segmentation.compact_network import FLOW_SCALE, CompactLayout, build_compact
from phenolake.segmentation.learning.augmentation import draw_batch
from phenolake.segmentation.learning.examples import Example

if TYPE_CHECKING:
    import torch

Round = dict[str, float]
#: Says how good a network is on validation images; the larger the better.
Judge = Callable[["torch.nn.Module"], float]

#: Weight of the predicted log diameter in the loss.
_DIAMETER_WEIGHT = 0.2
#: Part of the last average that one step keeps.
_AVERAGING = 0.998
#: Steps over which the learning rate rises to its full value.
_WARM_UP = 200
_LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes
    ----------
    steps
        Batches to learn from in all.
    steps_per_round
        Batches between two looks at the validation part, each with a checkpoint.
    batch_size, crop
        Crops in a batch, and their edge in pixels.
    learning_rate, weight_decay
        Of AdamW; the rate warms up and falls with a cosine to a hundredth.
    simulated_share
        Share of crops from simulated examples, where there are any.
    as_recorded
        Share of crops whose pixels stay as they were recorded; see `draw_crop`.
    patience
        Stop after so many rounds without a better validation score; None goes to the end.
    blend
        Share of the starting weights in the result, where there are any: a network between the
        two often does better on images like the old and the new ones alike.
    seed
        Of weights and draws.
    """

    steps: int = 9000
    steps_per_round: int = 250
    batch_size: int = 8
    crop: int = 224
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    simulated_share: float = 0.2
    as_recorded: float = 0.6
    patience: int | None = None
    blend: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        for name in ("steps", "steps_per_round", "batch_size", "crop", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("simulated_share", "as_recorded", "blend"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigurationError(
                    f"{name} must be from 0 to below 1, got {getattr(self, name)}"
                )


@dataclass
class TrainedCompact:
    """The outcome of a training: the averaged network and its curves.

    `best_round` is the round whose weights these are; the last one without a judge.
    """

    network: torch.nn.Module
    layout: CompactLayout
    settings: TrainingSettings
    history: list[Round] = field(default_factory=list)
    best_round: int = 0


def train_compact(
    train: Sequence[Example],
    simulated: Sequence[Example] = (),
    *,
    layout: CompactLayout | None = None,
    settings: TrainingSettings | None = None,
    start_from: Mapping[str, torch.Tensor] | None = None,
    judge: Judge | None = None,
    checkpoint: Path | None = None,
    device: str = "auto",
    on_round: Callable[[Round], None] | None = None,
) -> TrainedCompact:
    """Return a `compact` network trained on examples.

    Parameters
    ----------
    train, simulated
        Examples with hand-made and with simulated truth.
    start_from
        Weights to fine-tune; random ones if None.
    judge
        Scores the averaged network after each round; the best round's weights are returned.
    checkpoint
        Folder for the state after each round. The same call goes on from there and ends with the
        weights of one that never stopped.
    device
        `auto` takes a CUDA device if there is one; else a torch device name.
    on_round
        Called after each round with its row of the curves.

    Raises
    ------
    TrainingDivergedError
        If the loss stops being finite.

    Notes
    -----
    Draws depend on seed and step alone. The weights are an exponential average over steps.

    References
    ----------
    `blend`: Wortsman et al. (2022), Robust fine-tuning of zero-shot models, CVPR.
    """
    import torch

    layout, settings = layout or CompactLayout(), settings or TrainingSettings()
    run = _Run(
        layout, settings, "cuda" if device == "auto" and torch.cuda.is_available() else device
    )
    run.start(start_from)
    saved = None
    if checkpoint is not None:
        plain = {**layout.as_dict(), **asdict(settings), "judged": judge is not None}
        data = [array for item in (*train, *simulated) for array in (item.brightness, item.labels)]
        data += [value.cpu().numpy() for value in (start_from or {}).values()]
        saved = Checkpoint(checkpoint, training_fingerprint(plain, *data))
        run.restore(saved)
    examples = [*train, *simulated]
    weights = _draw_weights(train, simulated, settings.simulated_share)
    while run.step < settings.steps and not run.is_exhausted:
        row = run.round(examples, weights, judge)
        if saved is not None:
            saved.save(run.state())
        if on_round is not None:
            on_round(row)
    return run.result(start_from)


class _Run:
    """The moving parts of one training."""

    def __init__(self, layout: CompactLayout, settings: TrainingSettings, device: str) -> None:
        self.layout, self.settings = layout, settings
        self.device = "cpu" if device == "auto" else device
        self.history: list[Round] = []
        self.step = 0
        self.best_score = -np.inf
        self.best_round = 0
        self.best: dict[str, torch.Tensor] | None = None

    def start(self, weights: Mapping[str, torch.Tensor] | None) -> None:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            self.network = build_compact(self.layout)
        if weights is not None:
            self.network.load_state_dict(weights)
        self.network.to(self.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network)
        rate, decay = self.settings.learning_rate, self.settings.weight_decay
        self.optimizer = torch.optim.AdamW(self.network.parameters(), rate, weight_decay=decay)

    @property
    def is_exhausted(self) -> bool:
        """Whether the validation score has not risen for too long."""
        patience = self.settings.patience
        return patience is not None and len(self.history) - self.best_round >= patience

    def round(
        self, examples: Sequence[Example], weights: NDArray[np.float64], judge: Judge | None
    ) -> Round:
        """Learn from `steps_per_round` batches; return the round's row of the curves."""
        started = time.perf_counter()
        sums = np.zeros(3)
        first = self.step
        last = min(first + self.settings.steps_per_round, self.settings.steps)
        for self.step in range(first + 1, last + 1):
            rng = np.random.default_rng([self.settings.seed, self.step])
            size, count = self.settings.crop, self.settings.batch_size
            batch = draw_batch(examples, weights, size, count, rng, self.settings.as_recorded)
            sums += self._learn(*batch)
        flow, probability, diameter = (sums / (last - first)).tolist()
        row = {
            "round": float(len(self.history) + 1),
            "step": float(self.step),
            "flow_loss": flow,
            "probability_loss": probability,
            "diameter_loss": diameter,
            "learning_rate": self._rate(self.step),
        }
        if not np.isfinite(flow + probability + diameter):
            raise TrainingDivergedError(len(self.history) + 1, self.settings.learning_rate)
        if judge is not None:
            self.average.eval()
            row["validation_score"] = score = judge(self.average)
            if score > self.best_score:
                self.best_score, self.best_round = score, len(self.history) + 1
                self.best = copy.deepcopy(self.average.state_dict())
        row["seconds"] = time.perf_counter() - started
        self.history.append(row)
        return row

    def _learn(
        self, brightness: NDArray[np.float32], targets: NDArray[np.float32]
    ) -> tuple[float, float, float]:
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(self.step)
        inputs = torch.from_numpy(brightness).to(self.device)
        wanted = torch.from_numpy(targets).to(self.device)
        self.network.train()
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=_has_bfloat16(kind)):
            predicted = self.network(inputs).float()
        losses = compact_losses(predicted, wanted)
        self.optimizer.zero_grad(set_to_none=True)
        (losses[0] + losses[1] + _DIAMETER_WEIGHT * losses[2]).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()
        self._average()
        flow, probability, diameter = (float(loss.detach()) for loss in losses)
        return flow, probability, diameter

    def _average(self) -> None:
        """Move the averaged weights towards the present ones, faster while there are few steps."""
        kept = min(_AVERAGING, self.step / (self.step + 10))
        _move_towards(self.average, self.network.state_dict(), 1 - kept)

    def _rate(self, step: int) -> float:
        whole = self.settings.steps
        warm = min(1.0, step / min(_WARM_UP, whole))
        fall = 0.505 + 0.495 * math.cos(math.pi * step / whole)
        return self.settings.learning_rate * warm * fall

    def state(self) -> dict[str, Any]:
        """All that the next round needs."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
            "step": self.step,
            "best": self.best,
            "best_score": float(self.best_score),
            "best_round": self.best_round,
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a saved state, if there is one."""
        state = checkpoint.load(self.device)
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history, self.step = state["history"], state["step"]
        self.best, self.best_score = state["best"], state["best_score"]
        self.best_round = state["best_round"]

    def result(self, start: Mapping[str, torch.Tensor] | None) -> TrainedCompact:
        """Return the averaged network of the best round, or of the last where none was judged."""
        if self.best is not None:
            self.average.load_state_dict(self.best)
        else:
            self.best_round = len(self.history)
        network = self.average.cpu().eval()
        if start is not None and self.settings.blend > 0:
            _move_towards(network, start, self.settings.blend)
        return TrainedCompact(network, self.layout, self.settings, self.history, self.best_round)


def _move_towards(
    network: torch.nn.Module, weights: Mapping[str, torch.Tensor], share: float
) -> None:
    """Go so much of the way from a network's weights to others; counters are taken over."""
    import torch

    with torch.no_grad():
        mine = network.state_dict()
        for name, value in weights.items():
            if value.dtype.is_floating_point:
                mine[name].lerp_(value, share)
            else:
                mine[name].copy_(value)


def compact_losses(
    predicted: torch.Tensor, wanted: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Losses of flow, probability and diameter; both tensors (n, 4, y, x), see `Crop`.

    Mean square of the flow (times `FLOW_SCALE`) everywhere, cross entropy of the probability, mean
    square of the log diameter inside objects.
    """
    from torch.nn import functional

    inside = wanted[:, 2]
    flow = 0.5 * (predicted[:, :2] - FLOW_SCALE * wanted[:, :2]).square().sum(dim=1).mean()
    probability = functional.binary_cross_entropy_with_logits(predicted[:, 2], inside)
    wrong = (predicted[:, 3] - wanted[:, 3]).square() * inside
    return flow, probability, wrong.sum() / inside.sum().clamp(min=1)


def _draw_weights(
    train: Sequence[Example], simulated: Sequence[Example], simulated_share: float
) -> NDArray[np.float64]:
    """Chance of each example: a condition counts by the root of its objects, evenly inside it."""
    conditions = [example.condition for example in train]
    objects = dict.fromkeys(conditions, 0.0)
    for example in train:
        objects[example.condition] += float(example.labels.max(initial=0))
    real = np.array([np.sqrt(objects[name] + 1) / conditions.count(name) for name in conditions])
    if not simulated:
        return real / real.sum()
    real *= (1 - simulated_share) / real.sum()
    return np.append(real, np.full(len(simulated), simulated_share / len(simulated)))


def _has_bfloat16(kind: str) -> bool:
    """Whether half precision is faster than single on this device."""
    import torch

    if kind == "cuda":
        return torch.cuda.is_bf16_supported()
    return kind == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False)
