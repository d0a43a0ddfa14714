"""What a classifier learns: the class of each crop, with draws, blends and weights as asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phenolake.modeling.learning.augmentation import augment, vary_intensity
from phenolake.modeling.learning.fitting import Epoch
from phenolake.modeling.learning.losses import cell_losses
from phenolake.modeling.learning.pool import CropPool
from phenolake.modeling.learning.recipe import Recipe
from phenolake.modeling.trained_network import forward_batches, standardize

if TYPE_CHECKING:
    import torch

_JUDGED_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Labelled:
    """Crops with their classes, the rows to learn from and to judge by, and pixel statistics."""

    crops: np.ndarray
    codes: np.ndarray
    train: np.ndarray
    held: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


class ClassificationTask:
    """The class of each crop, by one of the losses of `cell_losses`."""

    def __init__(
        self,
        network: torch.nn.Sequential,
        data: Labelled,
        recipe: Recipe,
        augmentation: bool,
        class_balanced: bool,
        device: str,
    ) -> None:
        import torch

        self.network, self.recipe = network, recipe
        self.augmentation, self.class_balanced = augmentation, class_balanced
        self.mean, self.sd = data.mean, data.sd
        self.pool = CropPool(data.crops, device)
        self.codes = torch.from_numpy(data.codes).to(device)
        self.train, self.held = torch.from_numpy(data.train), torch.from_numpy(data.held)
        self._held_codes = data.codes[data.held]
        cells = np.bincount(data.codes[data.train], minlength=data.codes.max() + 1)
        # Weights are 1 on average over the cells, so that rates suit weighted losses, too.
        weights = torch.from_numpy(len(data.train) / (len(cells) * cells)).float()
        self.class_weights = weights.to(device) if recipe.reweighted else None
        self._chances = torch.from_numpy((1 / cells)[data.codes[data.train]]).cumsum(dim=0)

    def order(self, generator: torch.Generator) -> torch.Tensor:
        """Training crops, shuffled, or drawn so that each class comes up equally often."""
        import torch

        count = len(self.train)
        if not self.class_balanced:
            return self.train[torch.randperm(count, generator=generator)]
        draws = torch.rand(count, generator=generator, dtype=torch.float64) * self._chances[-1]
        return self.train[torch.searchsorted(self._chances, draws).clamp(max=count - 1)]

    def losses(
        self,
        network: Callable[[torch.Tensor], torch.Tensor],
        crops: torch.Tensor,
        rows: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of each crop, and whether its class was the most probable."""
        codes = self.codes[rows.to(self.codes.device)]
        if self.augmentation:
            crops = augment(crops, generator)
        if self.recipe.intensity:
            crops = vary_intensity(crops, generator, self.recipe.intensity)
        images = standardize(crops, self.mean, self.sd)
        if not self.recipe.mixup:
            logits = network(images)
            return self._losses(logits, codes), logits.detach().argmax(dim=1) == codes
        share, others = _blend(len(codes), self.recipe.mixup, generator)
        others = others.to(codes.device)
        logits = network(share * images + (1 - share) * images[others])
        losses = share * self._losses(logits, codes)
        losses = losses + (1 - share) * self._losses(logits, codes[others])
        return losses, logits.detach().argmax(dim=1) == codes

    def judge(self) -> Epoch:
        """Cross entropy (nats) and accuracy of the held-out crops."""
        probabilities = self._forward(self.held)[0]
        codes = self._held_codes
        own = probabilities[np.arange(len(codes)), codes].astype(np.float64)
        return {
            "validation_loss": float(-np.log(np.clip(own, 1e-15, 1)).mean()),
            "validation_accuracy": float((probabilities.argmax(axis=1) == codes).mean()),
        }

    def embeddings(self, rows: torch.Tensor) -> np.ndarray:
        """Last hidden layer of some crops, float32 (n, unit)."""
        return self._forward(rows)[1]

    def _forward(self, rows: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        batches = (crops for _, crops in self.pool.batches(rows.split(_JUDGED_AT_ONCE)))
        return forward_batches(self.network, batches, self.mean, self.sd)

    def _losses(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        recipe = self.recipe
        return cell_losses(logits, codes, recipe.loss, recipe.label_smoothing, self.class_weights)


def _blend(count: int, strength: float, generator: torch.Generator) -> tuple[float, torch.Tensor]:
    """Share of a crop in its blend, and the other crop of each blend.

    References
    ----------
    Zhang et al. (2018), "mixup: Beyond empirical risk minimization".
    """
    import torch

    seed = int(torch.randint(2**62, (1,), generator=generator))
    share = float(np.random.default_rng(seed).beta(strength, strength))
    return share, torch.randperm(count, generator=generator)
