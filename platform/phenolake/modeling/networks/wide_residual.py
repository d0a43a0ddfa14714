"""The wide residual network of Leuchowius (2017): n pre-activation blocks a group, width k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from phenolake.errors import ConfigurationError
from phenolake.modeling.networks.layout import Layout, convolution

if TYPE_CHECKING:
    import torch

_GROUPS = (16, 32, 64)
_LAST = 10


@dataclass(frozen=True)
class WideResidual(Layout):
    """Three groups of `blocks` residual blocks, `widening` times 16, 32 and 64 maps wide.

    After each group a 3x3 convolution of stride 2 narrows to 16, 32 or 64 maps, and one more makes
    10 maps; these, flattened, are the embedding. There is no global average pooling.

    Notes
    -----
    The study leaves open, and is read here as: a 1x1 convolution is the shortcut where the width
    changes; dropout is between the two convolutions of a block; batch normalisation and ReLU follow
    the narrowing convolutions and the last one.

    References
    ----------
    Leuchowius (2017); He et al. (2016), "Identity mappings in deep residual networks"; Zagoruyko
    and Komodakis (2016), "Wide residual networks".
    """

    kind: ClassVar[str] = "wide_residual"
    blocks: int = 8
    widening: int = 4

    def __post_init__(self) -> None:
        """Refuse layouts beyond any use, or that a damaged file asks for."""
        super().__post_init__()
        if self.blocks > 100 or self.widening > 32:
            raise ConfigurationError(
                f"a residual network of {self.blocks} blocks a group, {self.widening} times as "
                "wide, is beyond 100 and 32"
            )

    def body(self) -> tuple[torch.nn.Module, int]:
        """Return the module from images to 10 small maps, flattened, and their pixels."""
        from torch import nn

        before = _GROUPS[0] * self.widening
        layers: list[nn.Module] = [nn.Conv2d(self.channels, before, 3, padding=1, bias=False)]
        edge = self.size
        for narrow in _GROUPS:
            wide = narrow * self.widening
            for _ in range(self.blocks):
                layers.append(_block(before, wide, self.dropout))
                before = wide
            layers += convolution(wide, narrow, 2)
            before, edge = narrow, (edge + 1) // 2
        layers += [*convolution(before, _LAST), nn.Flatten()]
        return nn.Sequential(*layers), _LAST * edge**2


def _block(before: int, width: int, dropout: float) -> torch.nn.Module:
    """Batch normalisation and ReLU before each of two convolutions; identity shortcut."""
    from torch import nn

    from phenolake.modeling.networks.modules import Residual

    branch = nn.Sequential(
        nn.BatchNorm2d(before),
        nn.ReLU(),
        nn.Conv2d(before, width, 3, padding=1, bias=False),
        nn.Dropout(dropout),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
    )
    same = before == width
    return Residual(branch, nn.Identity() if same else nn.Conv2d(before, width, 1, bias=False))
