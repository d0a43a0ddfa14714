"""A network of the `timm` collection, and weights from a file fitted to other channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from phenolake.errors import ModelFileError, PackageMissingError
from phenolake.modeling.networks.layout import Layout

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Backbone(Layout):
    """The timm network of that name without its classifier; nothing is ever downloaded."""

    kind: ClassVar[str] = "timm"
    xavier: ClassVar[bool] = False
    size: int = 64
    name: str = "resnet18"

    def body(self) -> tuple[torch.nn.Module, int]:
        """Return the network from images to its pooled features, and their number.

        Raises
        ------
        PackageMissingError
            If timm is not installed.
        """
        try:
            import timm
        except ImportError as error:
            raise PackageMissingError("timm", f"the network timm:{self.name}") from error
        network = timm.create_model(
            self.name,
            pretrained=False,
            in_chans=self.channels,
            num_classes=0,
            drop_rate=self.dropout,
        )
        return network, int(network.num_features)


def load_body(network: torch.nn.Module, path: Path) -> list[str]:
    """Fill a network's body with weights from a file; return the names left as they were drawn.

    Parameters
    ----------
    network
        Modules `body` and `output`, as `build_network` gives.
    path
        `.safetensors`, or a state dictionary that torch saved. Names may carry the prefix `body.`
        or `state.body.`; weights of a classifier are passed over.

    Notes
    -----
    A first convolution for other channels than the file's is adapted: each channel gets the mean
    over the file's channels, scaled so that the sum over channels stays.

    Raises
    ------
    ModelFileError
        If the file is missing, holds code or damage, or fits the network in no weight, or a weight
        has another shape.
    """
    wanted = network.body.state_dict()
    found = {_short(name): value for name, value in _read_weights(path).items()}
    fitting = {}
    for name in wanted.keys() & found.keys():
        value = adapted(found[name], wanted[name].shape)
        if value.shape != wanted[name].shape:
            raise ModelFileError(
                path, f"{name} has shape {tuple(value.shape)}, not {tuple(wanted[name].shape)}"
            )
        fitting[name] = value
    if not fitting:
        raise ModelFileError(path, "no weight has the name of one of this network's")
    network.body.load_state_dict(fitting, strict=False)
    return sorted(wanted.keys() - fitting.keys())


def adapted(weight: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Return a convolution's weight for another number of input channels; others as they are."""
    if weight.ndim != 4 or len(shape) != 4 or weight.shape[1] == shape[1]:
        return weight
    if (weight.shape[0], *weight.shape[2:]) != (shape[0], *shape[2:]):
        return weight
    total = weight.float().sum(dim=1, keepdim=True)
    return (total / shape[1]).expand(*shape).to(weight.dtype).contiguous()


def _short(name: str) -> str:
    return name.removeprefix("state.").removeprefix("body.")


def _read_weights(path: Path) -> Mapping[str, Any]:
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        held = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelFileError(path, "there is no such file of weights") from error
    except (SafetensorError, RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise ModelFileError(
            path, "no safetensors file, and none that torch reads safely"
        ) from error
    if isinstance(held, dict):
        held = held.get("state_dict", held)
    if not isinstance(held, dict):
        raise ModelFileError(path, "holds no weights by name")
    return {name: value for name, value in held.items() if isinstance(value, torch.Tensor)}
