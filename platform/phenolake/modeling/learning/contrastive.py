"""Learning to see from crops without labels: two views of a cell must find each other (SimCLR)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phenolake.errors import TrainingDataError
from phenolake.modeling.checkpoints import Checkpoint, training_fingerprint
from phenolake.modeling.encoder import Encoder
from phenolake.modeling.labels import TRAIN, VALIDATION
from phenolake.modeling.learning.augmentation import augment, vary_intensity
from phenolake.modeling.learning.fitting import Epoch, Fit, epoch_seed, reproducible
from phenolake.modeling.learning.losses import two_view_losses
from phenolake.modeling.learning.pool import CropPool
from phenolake.modeling.learning.recipe import Recipe
from phenolake.modeling.networks import Layout, ResNet18, build_network, torch_device
from phenolake.modeling.networks.named import MODERN
from phenolake.modeling.trained_network import as_crops, channel_statistics, standardize

if TYPE_CHECKING:
    import torch

#: SimCLR learns from the other cells of a batch, so batches are large; gains stand for its colours.
CONTRASTIVE = replace(MODERN, batch_size=256, intensity=0.3)

_PROJECTION = 128
_TEMPERATURE = 0.5


def train_encoder(
    crops: np.ndarray,
    split: np.ndarray,
    *,
    layout: Layout | None = None,
    recipe: Recipe = CONTRASTIVE,
    epochs: int = 20,
    seed: int = 0,
    device: str = "auto",
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    full_scale: float | None = None,
) -> Encoder:
    """Return an encoder trained on the `train` part of crops, without any label.

    Parameters
    ----------
    crops, split, seed, device, checkpoint, on_epoch, full_scale
        As those of `train_network`; `train_accuracy` of an epoch is the share of cells whose two
        views find each other among all cells of the batch.
    layout
        Whose body is trained; its classes mean nothing. By default a slim ResNet-18.
    recipe
        Losses, mixup and label smoothing of it mean nothing here.

    Notes
    -----
    A view is a crop in one of eight orientations, shifted, each channel times a random gain. Two
    fully connected layers follow the body during training only. A batch that had to be halved for
    want of memory compares cells with half as many others.

    Raises
    ------
    TrainingDataError
        If pixels are not usable, or a part has fewer than two crops.

    References
    ----------
    Chen et al. (2020), SimCLR.
    """
    crops = as_crops(crops, full_scale)
    if len(split) != len(crops):
        raise TrainingDataError(f"{len(crops)} crops, but {len(split)} cells in the split")
    train, held = (np.flatnonzero(np.asarray(split) == part) for part in (TRAIN, VALIDATION))
    if min(len(train), len(held)) < 2:
        raise TrainingDataError(
            f"{len(train)} crops to train on and {len(held)} to validate; each part needs two"
        )
    layout = layout or ResNet18(2, crops.shape[1], crops.shape[2], width=32)
    layout = replace(layout, channels=crops.shape[1], size=crops.shape[2])
    settings = {
        "architecture": layout.as_dict(),
        "recipe": asdict(recipe),
        "seed": seed,
        "epochs": epochs,
        "task": "contrastive",
    }
    mean, sd = channel_statistics(crops, train)
    device = torch_device(device)
    with reproducible(device):
        task = ContrastiveTask(layout, crops, train, held, recipe, (mean, sd), seed, device)
        fit = Fit(task, recipe, epochs, seed, device)
        saved = None
        if checkpoint is not None:
            saved = Checkpoint(checkpoint, training_fingerprint(settings, crops, train, held))
        fit.run(saved, on_epoch)
    state = task.network.body.state_dict()
    return Encoder(
        architecture=layout,
        state={name: value.detach().cpu().numpy() for name, value in state.items()},
        mean=mean,
        sd=sd,
        history=fit.history,
        settings=settings,
        full_scale=full_scale,
    )


class ContrastiveTask:
    """Two random views of each crop, which must be more alike than any other two of the batch."""

    def __init__(
        self,
        layout: Layout,
        crops: np.ndarray,
        train: np.ndarray,
        held: np.ndarray,
        recipe: Recipe,
        statistics: tuple[np.ndarray, np.ndarray],
        seed: int,
        device: str,
    ) -> None:
        import torch
        from torch import nn

        torch.manual_seed(epoch_seed(seed, 0))
        network: Any = build_network(layout)
        width = network.output.in_features
        network.output = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, _PROJECTION)
        )
        self.network = network.to(device)
        self.pool = CropPool(crops, device)
        self.train, self.held = torch.from_numpy(train), torch.from_numpy(held)
        self.recipe, self.seed = recipe, seed
        self.mean, self.sd = statistics

    def order(self, generator: torch.Generator) -> torch.Tensor:
        """All training crops, shuffled."""
        import torch

        return self.train[torch.randperm(len(self.train), generator=generator)]

    def losses(
        self,
        network: Callable[[torch.Tensor], torch.Tensor],
        crops: torch.Tensor,
        rows: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Contrastive loss of each crop, and whether its views found each other."""
        import torch

        views = torch.cat([self._view(crops, generator) for _ in range(2)])
        return two_view_losses(network(views), _TEMPERATURE)

    def judge(self) -> Epoch:
        """The loss of the held-out crops, whose views are the same in each epoch."""
        import torch

        generator = torch.Generator().manual_seed(self.seed)
        self.network.eval()
        losses, found = [], []
        with torch.inference_mode():
            for rows, crops in self.pool.batches(self.held.split(self.recipe.batch_size)):
                loss, hit = self.losses(self.network, crops, rows, generator)
                losses.append(loss.cpu())
                found.append(hit.cpu())
        return {
            "validation_loss": torch.cat(losses).mean().item(),
            "validation_accuracy": torch.cat(found).float().mean().item(),
        }

    def _view(self, crops: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        turned = augment(crops, generator)
        return standardize(
            vary_intensity(turned, generator, self.recipe.intensity), self.mean, self.sd
        )
