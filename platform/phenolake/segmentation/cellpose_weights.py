"""Find Cellpose weights on this machine and check them before anything loads them.

Cellpose itself would download unknown names and accept a wrong file silently.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from phenolake.errors import CellposeMissingError, ModelFileError

#: Published weights, best first; `auto` uses the first one that is there.
PUBLISHED = ("cpsam_v2", "cpsam")


def weights_folder() -> Path:
    """Folder in which weights are looked up by name: CELLPOSE_LOCAL_MODELS_PATH or the default."""
    named = os.environ.get("CELLPOSE_LOCAL_MODELS_PATH")
    return Path(named) if named else Path.home() / ".cellpose" / "models"


def find_weights(model: str) -> Path:
    """Path of the weights named by a file path or by a name in the weights folder.

    Raises
    ------
    CellposeMissingError
        If the package is not installed or there is no such file; nothing is downloaded.
    """
    folder = weights_folder()
    if importlib.util.find_spec("cellpose") is None:
        raise CellposeMissingError("Cellpose is not installed", folder)
    given = Path(model).expanduser()
    # A bare name is looked up in the folder alone, so that no same-named file gets in the way.
    path = given if len(given.parts) > 1 else folder / model
    if not path.is_file():
        raise CellposeMissingError(f"no Cellpose weights {model!r}: {path} is not a file", folder)
    return path.resolve()


def usable_weights() -> tuple[str | None, str]:
    """Name of the weights that `auto` should use, or None, and the reason."""
    if importlib.util.find_spec("cellpose") is None:
        return None, "Cellpose is not installed"
    found = next((name for name in PUBLISHED if (weights_folder() / name).is_file()), None)
    if found is None:
        return None, f"no Cellpose weights in {weights_folder()}"
    import torch

    if not torch.cuda.is_available():
        return None, "no GPU; Cellpose takes minutes per field without one"
    return found, f"a GPU and the Cellpose weights {found} are there"


def checked_weights(model: str) -> Path:
    """Path of weights whose names and shapes are those of the network they are for.

    Raises
    ------
    CellposeMissingError
        If the package or the file is missing.
    ModelFileError
        If the file is no plain table of tensors, or not one of this network.
    """
    path = find_weights(model)
    stored = stored_shapes(path)
    expected = expected_shapes()
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
    return path


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


@lru_cache(maxsize=1)
def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of Cellpose's SAM network, built without memory for its values."""
    import torch
    from cellpose.vit import CPSAM

    with torch.device("meta"):
        network = CPSAM()
    # Diameters of the training objects are not used by Cellpose 4; older files lack them.
    return {
        name: tuple(tensor.shape)
        for name, tensor in network.state_dict().items()
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
