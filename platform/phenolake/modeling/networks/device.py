"""Which device networks run on."""

from __future__ import annotations


def torch_device(name: str = "auto") -> str:
    """Return `cuda` where there is such a device and `cpu` elsewhere, unless a name is given."""
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
