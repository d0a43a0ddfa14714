"""The plain convolutional networks of Leuchowius (2017), models 1 to 3, as one layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from phenolake.errors import ConfigurationError
from phenolake.modeling.networks.layout import Layout, convolution

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Architecture(Layout):
    """Stages of 3x3 convolutions, halved after each, then fully connected layers.

    `widths` are the maps of each stage, `hidden` the fully connected layers before the output; the
    last one is the embedding. Dropout follows each of them. Convolutions keep the size by zero
    padding and are followed by batch normalisation (momentum 0.1) where used, then ReLU; fully
    connected layers aren't normalised.

    References
    ----------
    Leuchowius (2017), CNN models 1 to 3.
    """

    kind: ClassVar[str] = "plain"
    widths: tuple[int, ...] = (16, 32, 64)
    convolutions: int = 2
    downsampling: Literal["pool", "stride"] = "pool"
    batch_norm: bool = True
    hidden: tuple[int, ...] = (200, 200, 50)

    def __post_init__(self) -> None:
        """Refuse layouts that can't be built, or that a damaged file asks for."""
        super().__post_init__()
        if not self.widths or self.edges[-1] < 1 or self.downsampling not in ("pool", "stride"):
            raise ConfigurationError(
                f"{self.size} px can't be halved {len(self.widths)} times by {self.downsampling!r}"
            )

    @property
    def edges(self) -> tuple[int, ...]:
        """Edge of the maps after each stage, in pixels; pooling rounds down, strides round up."""
        edges, edge = [], self.size
        for _ in self.widths:
            edge = edge // 2 if self.downsampling == "pool" else (edge + 1) // 2
            edges.append(edge)
        return tuple(edges)

    def body(self) -> tuple[torch.nn.Module, int]:
        """Return the module from images to the last hidden layer, and that layer's units."""
        from torch import nn

        layers: list[nn.Module] = []
        before = self.channels
        for width in self.widths:
            for _ in range(self.convolutions):
                layers += convolution(before, width, batch_norm=self.batch_norm)
                before = width
            if self.downsampling == "pool":
                layers.append(nn.MaxPool2d(2))
            else:
                layers += convolution(width, width, 2, self.batch_norm)
        layers.append(nn.Flatten())
        before *= self.edges[-1] ** 2
        for width in self.hidden:
            layers += [nn.Linear(before, width), nn.ReLU(), nn.Dropout(self.dropout)]
            before = width
        return nn.Sequential(*layers), before
