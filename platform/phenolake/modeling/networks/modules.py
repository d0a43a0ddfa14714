"""Torch modules that `torch.nn` lacks: a residual sum, attention pooling, several scales."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Residual(nn.Module):
    """The sum of a branch and a shortcut, both fed with the input."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut = branch, shortcut

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps of the branch's shape."""
        return self.shortcut(maps) + self.branch(maps)


class GatedAttention(nn.Module):
    """The mean of all places of a map, weighted by what the places hold.

    References
    ----------
    Ilse, Tomczak and Welling (2018), "Attention-based deep multiple instance learning".
    """

    def __init__(self, width: int, hidden: int = 32) -> None:
        super().__init__()
        self.content, self.gate = nn.Linear(width, hidden), nn.Linear(width, hidden)
        self.score = nn.Linear(hidden, 1)

    def weights(self, maps: torch.Tensor) -> torch.Tensor:
        """Return how much each place counts, shape (n, y * x), sum 1."""
        places = maps.flatten(2).transpose(1, 2)
        hidden = torch.tanh(self.content(places)) * torch.sigmoid(self.gate(places))
        return self.score(hidden).squeeze(2).softmax(dim=1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return shape (n, width) from maps (n, width, y, x)."""
        return torch.einsum("nwp,np->nw", maps.flatten(2), self.weights(maps))


class SideBySide(nn.Module):
    """The maps of several branches that see the same input, one after the other."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the branches' maps, joined along the channels."""
        return torch.cat([branch(images) for branch in self.branches], dim=1)
