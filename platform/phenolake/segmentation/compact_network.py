"""The layout of `compact`: a residual U-Net of 2.1 million weights that works at half resolution."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

#: What the network predicts, in the order of its output planes.
OUTPUTS = ("flow_y", "flow_x", "probability_logit", "log2_diameter")
#: The network's flows are this many times the unit flow, as in Cellpose, to weigh in the loss.
FLOW_SCALE = 5.0
#: Diameter, pixels, that the plane `log2_diameter` calls 0.
UNIT_DIAMETER = 16.0
#: Brightness on the logarithmic input plane at which it turns from linear to logarithmic.
_KNEE = 0.05
_BRIGHTEST = 4.0


@dataclass(frozen=True)
class CompactLayout:
    """Channels of the network at 1/2, 1/4, ... of the image's resolution."""

    widths: tuple[int, ...] = (32, 64, 128, 128, 128)

    @property
    def multiple(self) -> int:
        """Height and width of an input must be a multiple of this, pixels."""
        return 2 ** len(self.widths)

    def as_dict(self) -> dict[str, Any]:
        """Return the layout as plain values."""
        return {**asdict(self), "widths": list(self.widths)}


def build_compact(layout: CompactLayout) -> torch.nn.Module:
    """Return the network: brightness (n, 1, y, x) to `OUTPUTS` (n, 4, y, x).

    Pixels of 2 x 2 become channels at the entry and pixels again at the exit, so that the network
    sees and draws full resolution at a quarter of the cost. Levels are joined by addition.

    References
    ----------
    Ronneberger et al., MICCAI 2015 (U-Net); He et al., CVPR 2016 (residual blocks); Shi et al.,
    CVPR 2016 (pixel shuffle).
    """
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
            self.first_norm = nn.BatchNorm2d(width)
            self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
            self.second_norm = nn.BatchNorm2d(width)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            inner = torch.relu(self.first_norm(self.first(x)))
            return torch.relu(x + self.second_norm(self.second(inner)))

    class Compact(nn.Module):
        def __init__(self, widths: tuple[int, ...]) -> None:
            super().__init__()
            self.layout = layout
            pairs = list(itertools.pairwise(widths))
            self.stem = nn.Conv2d(2 * 4, widths[0], 3, padding=1)
            self.encoder = nn.ModuleList(Block(width) for width in widths)
            self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
            self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairs)
            self.decoder = nn.ModuleList(Block(width) for width in widths[:-1])
            self.head = nn.Conv2d(widths[0], 4 * len(OUTPUTS), 3, padding=1)

        def levels(self, brightness: torch.Tensor) -> list[torch.Tensor]:
            """What the encoder sees at 1/2, 1/4, ... of the resolution, (n, width, y, x) each."""
            x = functional.pixel_unshuffle(input_planes(brightness), 2)
            x = self.encoder[0](torch.relu(self.stem(x)))
            levels = [x]
            for down, block in zip(self.down, self.encoder[1:], strict=True):
                x = block(torch.relu(down(x)))
                levels.append(x)
            return levels

        def forward(self, brightness: torch.Tensor) -> torch.Tensor:
            levels = self.levels(brightness)
            x = levels[-1]
            for depth in reversed(range(len(self.up))):
                x = functional.interpolate(self.up[depth](x), scale_factor=2.0, mode="nearest")
                x = self.decoder[depth](x + levels[depth])
            return functional.pixel_shuffle(self.head(x), 2)

    return Compact(layout.widths)


def input_planes(brightness: torch.Tensor) -> torch.Tensor:
    """Brightness (n, 1, y, x) as two planes (n, 2, y, x): clipped, and logarithmic.

    The first keeps the contrast inside nuclei; the second shows dim ones beside bright debris.
    """
    import torch

    clipped = brightness.clamp(-0.5, _BRIGHTEST)
    compressed = torch.log1p(brightness.clamp(0, 1000) / _KNEE) / torch.log1p(
        torch.tensor(1 / _KNEE)
    )
    return torch.cat((clipped, compressed), dim=1)


def fuse_norms(network: torch.nn.Module) -> torch.nn.Module:
    """Return the network for prediction with its batch norms folded into the convolutions."""
    from torch.nn import Identity
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    network.eval()
    for block in (*network.encoder, *network.decoder):
        for conv, norm in (("first", "first_norm"), ("second", "second_norm")):
            setattr(block, conv, fuse_conv_bn_eval(getattr(block, conv), getattr(block, norm)))
            setattr(block, norm, Identity())
    return network
