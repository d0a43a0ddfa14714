"""Check Cellpose weights before anything loads them: names, shapes and sha256.

Cellpose itself would download unknown names and accept a wrong file silently.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from phenolake.errors import ModelFileError
from phenolake.segmentation.cellpose_network import backbone_of, empty_network
from phenolake.segmentation.cellpose_sources import PUBLISHED, find_weights, weights_folder


def usable_weights() -> tuple[str | None, str]:
    """Name of the weights that `auto` should use, or None, and the reason."""
    if importlib.util.find_spec("cellpose") is None:
        return None, "Cellpose is not installed"
    there = [name for name in PUBLISHED if (weights_folder() / name).is_file()]
    if not there:
        return None, f"no Cellpose weights in {weights_folder()}"
    import torch

    if not torch.cuda.is_available():
        return None, "no GPU; Cellpose takes minutes per field without one"
    refused = ""
    for name in there:
        try:
            checked_weights(name)
        except ModelFileError as error:
            refused += f"; {error}"
        else:
            return name, f"a GPU and the Cellpose weights {name} are there{refused}"
    return None, f"no usable Cellpose weights{refused}"


def checked_weights(model: str) -> Path:
    """Path of weights whose names and shapes are those of the network they are for.

    Raises
    ------
    CellposeMissingError
        If the package or the file is missing.
    ModelFileError
        If the file is no plain table of tensors, or not one of this network.
    """
    path = find_weights(model, accept=check_tensors)
    check_tensors(path)
    return path


def check_tensors(path: Path) -> str:
    """Backbone of the network whose names and shapes a file holds.

    Raises
    ------
    ModelFileError
        If the file holds anything else, or the packages of its backbone are not installed.
    """
    stored = stored_shapes(path)
    backbone = backbone_of(stored)
    try:
        expected = expected_shapes(backbone)
    except ImportError as error:
        raise ModelFileError(path, f"can't be used here: {error}") from error
    missing = [name for name in expected if name not in stored]
    if missing:
        raise ModelFileError(
            path,
            f"not Cellpose 4 weights: {len(missing)} of {len(expected)} tensors are missing, "
            f"first {missing[0]!r}",
        )
    for name, shape in expected.items():
        if stored[name] != shape:
            raise ModelFileError(
                path, f"not Cellpose 4 weights: {name!r} has shape {stored[name]}, expected {shape}"
            )
    return backbone


def stored_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor in a weights file; no tensor is read and nothing is unpickled freely.

    Raises
    ------
    ModelFileError
        If the file is anything but a table of named tensors.
    """
    import torch

    try:
        table = torch.load(path, map_location="meta", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds on foreign files
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelFileError(path, f"not a PyTorch weights file: {reason}") from error
    if not isinstance(table, Mapping) or not all(
        isinstance(t, torch.Tensor) for t in table.values()
    ):
        raise ModelFileError(path, "not Cellpose 4 weights: expected a table of named tensors")
    return {str(name).removeprefix("module."): tuple(t.shape) for name, t in table.items()}


@lru_cache(maxsize=4)
def expected_shapes(backbone: str) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of Cellpose's network, built without memory for its values."""
    return {
        name: tuple(tensor.shape)
        for name, tensor in empty_network(backbone).state_dict().items()
        # Not used by Cellpose 4; older files lack them.
        if not name.startswith("diam_")
    }


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file, remembered while the file does not change."""
    stat = path.stat()
    return _sha256(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _sha256(path: Path, _changed: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
