"""Networks that judge whole fields with one label for all cells in them: no segmentation needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from phenolake.errors import ConfigurationError
from phenolake.modeling.networks.layout import Layout, convolution

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class MultipleInstance(Layout):
    """Every place of a field is an instance; an attention decides which ones speak for it.

    Each of `widths` is two 3x3 convolutions and a 2x2 maximum.

    References
    ----------
    Kraus, Ba and Frey (2016), "Classifying and segmenting microscopy images with deep multiple
    instance learning"; Ilse, Tomczak and Welling (2018) for the pooling.
    """

    kind: ClassVar[str] = "multiple_instance"
    size: int = 128
    widths: tuple[int, ...] = (16, 32, 64)

    def __post_init__(self) -> None:
        """Refuse fields too small for the stages."""
        super().__post_init__()
        if not self.widths or self.size >> len(self.widths) < 1:
            raise ConfigurationError(
                f"{self.size} px can't be halved {len(self.widths)} times; give larger fields"
            )

    def body(self) -> tuple[torch.nn.Module, int]:
        """Return the module from fields to the weighted mean of their places, and its length."""
        from torch import nn

        from phenolake.modeling.networks.modules import GatedAttention

        layers: list[nn.Module] = []
        before = self.channels
        for width in self.widths:
            layers += [*convolution(before, width), *convolution(width, width), nn.MaxPool2d(2)]
            before = width
        layers += [GatedAttention(before), nn.Dropout(self.dropout)]
        return nn.Sequential(*layers), before


@dataclass(frozen=True)
class MultiScale(Layout):
    """A field seen at several scales at once, joined and judged as a whole.

    For each of `scales` the field is averaged down so many times, goes through three 3x3
    convolutions of `width` maps and is pooled to the coarsest scale's grid.

    References
    ----------
    Godinez et al. (2017), "A multi-scale convolutional neural network for phenotyping high-content
    cellular images": seven scales, 1 to 64.
    """

    kind: ClassVar[str] = "multi_scale"
    size: int = 128
    scales: tuple[int, ...] = (1, 2, 4, 8)
    width: int = 16
    hidden: int = 128

    def __post_init__(self) -> None:
        """Refuse scales that don't meet in one grid."""
        super().__post_init__()
        if (
            not self.scales
            or any(max(self.scales) % scale for scale in self.scales)
            or self.size < max(self.scales)
        ):
            raise ConfigurationError(
                f"each scale must divide the largest, and that fit into {self.size} px, got "
                f"{self.scales}"
            )

    def body(self) -> tuple[torch.nn.Module, int]:
        """Return the module from fields to the hidden layer before the output, and its units."""
        from torch import nn

        from phenolake.modeling.networks.modules import SideBySide

        largest, joined = max(self.scales), self.width * len(self.scales)
        paths = [
            nn.Sequential(
                nn.AvgPool2d(scale),
                *convolution(self.channels, self.width),
                *convolution(self.width, self.width),
                *convolution(self.width, self.width),
                nn.MaxPool2d(largest // scale),
            )
            for scale in self.scales
        ]
        body = nn.Sequential(
            SideBySide(paths),
            *convolution(joined, 2 * joined, size=1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(2 * joined, self.hidden),
            nn.ReLU(),
            nn.Dropout(self.dropout),
        )
        return body, self.hidden
