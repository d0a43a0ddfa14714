"""Losses of single cells: cross entropy, focal and generalized, with weights and smoothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phenolake.modeling.learning.recipe import Loss

if TYPE_CHECKING:
    import torch

_FOCUS = 2.0
_FORGIVENESS = 0.7


def cell_losses(
    logits: torch.Tensor,
    codes: torch.Tensor,
    kind: Loss = "cross_entropy",
    label_smoothing: float = 0.0,
    class_weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the loss of each cell, float32, shape (n,).

    Parameters
    ----------
    logits
        Shape (n, class).
    codes
        True classes, int64, shape (n,).
    kind
        `cross_entropy`: -ln p. `focal`: -(1 - p)^2 ln p. `generalized`: (1 - p^0.7) / 0.7, which
        lies between cross entropy and the mean absolute error and so is less led by wrong labels.
    label_smoothing
        Share s of the truth that lies evenly on all classes: (1 - s) of the loss of the true class
        plus s of the mean loss over classes.
    class_weights
        Factor of each class, shape (class,).

    References
    ----------
    Lin et al. (2017), "Focal loss for dense object detection"; Zhang and Sabuncu (2018),
    "Generalized cross entropy loss for training deep neural networks with noisy labels".
    """
    logs = logits.float().log_softmax(dim=1)
    if kind == "focal":
        of_class = -((1 - logs.exp()) ** _FOCUS) * logs
    elif kind == "generalized":
        of_class = (1 - (_FORGIVENESS * logs).exp()) / _FORGIVENESS
    else:
        of_class = -logs
    losses = of_class.gather(1, codes[:, None])[:, 0]
    if label_smoothing:
        losses = (1 - label_smoothing) * losses + label_smoothing * of_class.mean(dim=1)
    return losses if class_weights is None else losses * class_weights[codes]


def two_view_losses(
    views: torch.Tensor, temperature: float = 0.5
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the contrastive loss of each cell, and whether its views find each other; shape (n,).

    Parameters
    ----------
    views
        Shape (2 n, d): the first views of all cells, then the second ones in the same order.
    temperature
        Divides the cosines; the lower, the more the nearest other cells count.

    References
    ----------
    Chen et al. (2020), "A simple framework for contrastive learning of visual representations"
    (SimCLR): the normalized temperature-scaled cross entropy.
    """
    import torch
    from torch.nn import functional

    count = len(views) // 2
    unit = functional.normalize(views.float(), dim=1)
    likeness = unit @ unit.T / temperature
    itself = torch.eye(2 * count, dtype=torch.bool, device=views.device)
    likeness = likeness.masked_fill(itself, -torch.inf)
    partner = torch.arange(2 * count, device=views.device).roll(count)
    losses = functional.cross_entropy(likeness, partner, reduction="none")
    found = likeness.argmax(dim=1) == partner
    return (losses[:count] + losses[count:]) / 2, found[:count] & found[count:]
