"""What every network layout has: sizes, a form as plain data, and the module it describes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from phenolake.errors import ConfigurationError

if TYPE_CHECKING:
    import torch

_LARGEST = 4096


@dataclass(frozen=True)
class Layout:
    """A network for square images (channel, size, size) that tells `classes` apart.

    `dropout` is the share of units dropped while training.
    """

    kind: ClassVar[str] = ""
    #: Draw weights by Xavier's uniform rule, biases zero; else the modules draw their own.
    xavier: ClassVar[bool] = True

    classes: int
    channels: int = 4
    size: int = 32
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse sizes that can't be built, or that a damaged file asks for."""
        for field in fields(self):
            value = getattr(self, field.name)
            counts = value if isinstance(value, tuple) else (value,)
            if field.name == "dropout" or isinstance(value, bool | str):
                continue
            if not all(type(count) is int and 1 <= count <= _LARGEST for count in counts):
                raise ConfigurationError(
                    f"{field.name} must be whole numbers in 1..{_LARGEST}, got {value}"
                )
        if not 0 <= self.dropout < 1:
            raise ConfigurationError(f"dropout must lie in 0..1, got {self.dropout}")

    def body(self) -> tuple[torch.nn.Module, int]:
        """Return the module from images to embeddings, and the length of an embedding."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """Return plain data that `layout_from_dict` reads back."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read what `as_dict` gave, also after a turn through JSON."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in data.items()
            if name != "kind"
        }
        return cls(**plain)


def build_network(layout: Layout) -> torch.nn.Sequential:
    """Return a network of modules `body` (images to embedding) and `output` (to logits).

    Input is float32 of shape (n, channel, size, size). Weights are drawn from torch's generator.

    References
    ----------
    Glorot and Bengio (2010) for the initialisation of most layouts.
    """
    from collections import OrderedDict

    from torch import nn

    body, width = layout.body()
    network = nn.Sequential(OrderedDict(body=body, output=nn.Linear(width, layout.classes)))
    if layout.xavier:
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    return network


def weight_count(network: torch.nn.Module) -> int:
    """Return the number of convolution and fully connected weights, biases not counted."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.ndim > 1)


def convolution(
    before: int, width: int, stride: int = 1, batch_norm: bool = True, size: int = 3
) -> list[torch.nn.Module]:
    """Return a convolution that keeps the edge (over the stride), batch normalisation and ReLU."""
    from torch import nn

    # Batch normalisation has a shift of its own, so the bias would do nothing.
    layers: list[nn.Module] = [
        nn.Conv2d(before, width, size, stride=stride, padding=size // 2, bias=not batch_norm)
    ]
    if batch_norm:
        layers.append(nn.BatchNorm2d(width))
    return [*layers, nn.ReLU()]
