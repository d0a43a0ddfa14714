"""How a network is optimised: steps, rates, losses and precision, as one checked value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from phenolake.errors import ConfigurationError

Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["constant", "step", "cosine"]
Loss = Literal["cross_entropy", "focal", "generalized"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Recipe:
    """How a network is optimised.

    Attributes
    ----------
    optimizer
        `adam` and `sgd` add `l2` to the gradient, as the published study does; `adamw` shrinks
        weights apart from it. Biases and batch normalisation are never shrunk.
    learning_rate, l2, batch_size, momentum
        As usual; momentum is that of `sgd`.
    schedule, warm_up
        Of the learning rate, see `rate_factor`; warm_up counts epochs.
    largest_gradient
        Norm to which gradients are clipped; None leaves them.
    loss
        `cross_entropy`, `focal` (looks at hard cells) or `generalized` (forgives wrong labels).
    reweighted
        Cells of rare classes count more, so that classes count alike.
    label_smoothing
        Share of the truth that is spread evenly over the classes.
    mixup
        Two cells are blended in shares of Beta(mixup, mixup); 0 blends none.
    intensity
        SD of the natural logarithm of a random gain of each channel; 0 leaves intensities.
    patience
        Stop after so many epochs without a lower validation loss and return the best epoch's
        weights; None goes to the end and returns the last.
    precision
        Of the forward pass; `auto` is bfloat16 on CUDA and float32 elsewhere.
    compiled
        Compile the network first; worth it for long trainings of large networks on a GPU.
    """

    optimizer: Optimizer = "adam"
    learning_rate: float = 1e-4
    l2: float = 5e-4
    batch_size: int = 100
    momentum: float = 0.0
    schedule: Schedule = "constant"
    warm_up: int = 0
    largest_gradient: float | None = None
    loss: Loss = "cross_entropy"
    reweighted: bool = False
    label_smoothing: float = 0.0
    mixup: float = 0.0
    intensity: float = 0.0
    patience: int | None = None
    precision: Precision = "auto"
    compiled: bool = False

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        choices = {
            "optimizer": Optimizer,
            "schedule": Schedule,
            "loss": Loss,
            "precision": Precision,
        }
        for name, known in choices.items():
            if getattr(self, name) not in get_args(known):
                raise ConfigurationError(
                    f"{name}: expected one of {', '.join(get_args(known))}, got "
                    f"{getattr(self, name)!r}"
                )
        for name in ("learning_rate", "batch_size", "largest_gradient", "patience"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("l2", "warm_up", "mixup", "intensity"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(f"{name} must be 0 or more, got {getattr(self, name)}")
        for name in ("momentum", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must lie in 0..1, got {getattr(self, name)}")
