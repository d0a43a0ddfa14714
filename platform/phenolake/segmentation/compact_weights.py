"""Weights of `compact` as one safetensors file whose header says how they were made."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phenolake.errors import ModelFileError
from phenolake.segmentation.compact_network import CompactLayout, build_compact

if TYPE_CHECKING:
    import torch

#: The weights that come with the package; `compact.md` beside them is their model card.
SHIPPED = Path(__file__).parent / "weights" / "compact.safetensors"
_KIND = "phenolake compact 1"


def save_compact(
    network: torch.nn.Module, layout: CompactLayout, path: Path, facts: Mapping[str, Any]
) -> None:
    """Write a network with unfused norms; `facts` are plain values about its making.

    Weights are rounded to half precision, which halves the file and leaves masks as they are.
    """
    import torch
    from safetensors.torch import save_file

    tensors = {
        name: (value.half() if value.dtype == torch.float32 else value).contiguous().cpu()
        for name, value in network.state_dict().items()
    }
    header = {
        "kind": _KIND,
        "layout": json.dumps(layout.as_dict()),
        "facts": json.dumps(dict(facts), sort_keys=True),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata=header)
    partial.chmod(0o644)  # the writer makes it private
    partial.replace(path)


def read_compact(path: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Return the network in single precision and the facts about its making.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, or holds another network.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("kind") != _KIND:
                raise ModelFileError(path, f"not a file of {_KIND!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        layout = CompactLayout(tuple(json.loads(header["layout"])["widths"]))
        facts = json.loads(header["facts"])
        network = build_compact(layout)
        network.load_state_dict(
            {
                name: value.float() if value.dtype == torch.float16 else value
                for name, value in tensors.items()
            }
        )
    except FileNotFoundError as error:
        raise ModelFileError(path, "missing") from error
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelFileError(path, f"not usable weights of compact ({reason})") from error
    return network.eval(), facts


def weights_file(model: str) -> Path:
    """Return the weights that a file path or `models:/<name>@<alias>` of the registry names.

    Registered weights are copied once to the cache of this installation, by version.

    Raises
    ------
    ModelFileError
        If there is no such file.
    UnknownNameError
        If the registry has no such model.
    """
    if not model.startswith("models:/"):
        path = Path(model).expanduser()
        if not path.is_file():
            raise ModelFileError(path, "no weights of compact there")
        return path.resolve()
    from phenolake.modeling.tracking import Tracker
    from phenolake.settings import Settings

    tracker = Tracker()
    version = tracker.resolve(model)
    folder = Settings().home_path / "cache" / "models" / version.name / version.version
    path = folder / SHIPPED.name
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as fetched:
            (tracker.fetch(version, Path(fetched)) / SHIPPED.name).replace(path)
    return path
