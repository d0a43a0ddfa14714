"""ResNet-18 for any number of channels, with a gentler start for small crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from phenolake.modeling.networks.layout import Layout, convolution

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ResNet18(Layout):
    """Four groups of two basic blocks, `width` maps and its doubles; the embedding is their mean.

    Images of 64 pixels and more are quartered first, by a 7x7 convolution of stride 2 and pooling;
    smaller crops meet a 3x3 convolution that keeps their size.

    References
    ----------
    He et al. (2016), "Deep residual learning for image recognition"; Caicedo et al. (2018), "Weakly
    supervised learning of single-cell feature embeddings", for its use on cells with mixup.
    """

    kind: ClassVar[str] = "resnet18"
    xavier: ClassVar[bool] = False
    width: int = 64

    def body(self) -> tuple[torch.nn.Module, int]:
        """Return the module from images to the mean of the last maps, and their number."""
        from torch import nn

        if self.size >= 64:
            stem = [*convolution(self.channels, self.width, 2, size=7), nn.MaxPool2d(3, 2, 1)]
        else:
            stem = convolution(self.channels, self.width)
        layers, before = list(stem), self.width
        for group in range(4):
            width = self.width << group
            for block in range(2):
                stride = 2 if group and not block else 1
                layers += [_basic_block(before, width, stride), nn.ReLU()]
                before = width
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(self.dropout)]
        body = nn.Sequential(*layers)
        for layer in body.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        return body, before


def _basic_block(before: int, width: int, stride: int) -> torch.nn.Module:
    from torch import nn

    from phenolake.modeling.networks.modules import Residual

    branch = nn.Sequential(
        *convolution(before, width, stride),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
    )
    if stride == 1 and before == width:
        return Residual(branch, nn.Identity())
    projection = nn.Conv2d(before, width, 1, stride=stride, bias=False)
    return Residual(branch, nn.Sequential(projection, nn.BatchNorm2d(width)))
