"""Models as files: numbers in safetensors, everything else in JSON; reading runs no code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from phenolake.errors import ConfigurationError, ModelFileError
from phenolake.modeling.encoder import Encoder
from phenolake.modeling.forest import NODE_ARRAYS, Forest
from phenolake.modeling.networks import layout_from_dict
from phenolake.modeling.novelty import NoveltyReference
from phenolake.modeling.trained_network import TrainedNetwork

Model = Forest | TrainedNetwork
Stored = TypeVar("Stored", Model, Encoder)

WEIGHTS_FILE = "model.safetensors"
DESCRIPTION_FILE = "model.json"
_FORMAT = 1


def save_model(model: Model | Encoder, folder: Path) -> str:
    """Write `model.safetensors` and `model.json`; return the SHA-256 of the weights file."""
    from safetensors.numpy import save

    weights = save(_tensors(model))
    digest = hashlib.sha256(weights).hexdigest()
    description = {
        "format": _FORMAT,
        "kind": model.kind,
        "weights_sha256": digest,
        **_description(model),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS_FILE).write_bytes(weights)
    (folder / DESCRIPTION_FILE).write_text(json.dumps(description, indent=1) + "\n")
    return digest


def weights_sha256(model: Model | Encoder) -> str:
    """Return the SHA-256 that `save_model` would give."""
    from safetensors.numpy import save

    return hashlib.sha256(save(_tensors(model))).hexdigest()


def read_model(folder: Path) -> Model:
    """Return the model stored in a folder.

    Raises
    ------
    ModelFileError
        If a file is missing, damaged, changed since it was written, or of a later format.
    """
    readers: dict[str, Callable[[Any, Any], Model]] = {
        Forest.kind: _read_forest,
        TrainedNetwork.kind: _read_network,
    }
    return _read(folder, readers)


def read_encoder(folder: Path) -> Encoder:
    """Return the encoder stored in a folder; raises what `read_model` does."""
    return _read(folder, {Encoder.kind: _read_encoder})


def _read(folder: Path, readers: dict[str, Callable[[Any, Any], Stored]]) -> Stored:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / DESCRIPTION_FILE
    try:
        description = json.loads(path.read_text())
        weights = (folder / WEIGHTS_FILE).read_bytes()
        if description["format"] != _FORMAT:
            raise ModelFileError(
                path, f"format {description['format']}, this version reads {_FORMAT}"
            )
        if hashlib.sha256(weights).hexdigest() != description["weights_sha256"]:
            raise ModelFileError(folder / WEIGHTS_FILE, "SHA-256 is not the one in model.json")
        tensors = load(weights)
        return readers[description["kind"]](description, tensors)
    except FileNotFoundError as error:
        raise ModelFileError(error.filename, "missing; a model is two files") from error
    except (
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        SafetensorError,
        ConfigurationError,
    ) as error:
        raise ModelFileError(path, f"not a usable model ({error})") from error


def _tensors(model: Model | Encoder) -> dict[str, np.ndarray]:
    novelty = {}
    if not isinstance(model, Encoder):
        novelty = {f"novelty.{name}": value for name, value in vars(model.novelty).items()}
    if isinstance(model, Forest):
        own = {
            "medians": model.medians,
            "roots": model.roots,
            "leaf_values": model.leaf_values,
            "importances": model.importances,
            **{f"nodes.{name}": value for name, value in model.nodes.items()},
        }
    else:
        own = {"mean": model.mean, "sd": model.sd}
        own |= {f"state.{name}": value for name, value in model.state.items()}
    return {name: np.asarray(value, order="C") for name, value in {**novelty, **own}.items()}


def _description(model: Model | Encoder) -> dict[str, Any]:
    classes = {} if isinstance(model, Encoder) else {"classes": model.classes}
    shared = {**classes, "settings": model.settings}
    if isinstance(model, Forest):
        return {**shared, "features": model.features}
    return {
        **shared,
        "architecture": model.architecture.as_dict(),
        "full_scale": model.full_scale,
        "history": model.history,
    }


def _read_forest(description: dict[str, Any], tensors: dict[str, np.ndarray]) -> Forest:
    plain = ("medians", "roots", "leaf_values", "importances")
    return Forest(
        classes=tuple(description["classes"]),
        features=tuple(description["features"]),
        nodes={name: tensors[f"nodes.{name}"] for name in NODE_ARRAYS},
        novelty=_novelty(tensors),
        settings=description["settings"],
        **{name: tensors[name] for name in plain},
    )


def _read_network(description: dict[str, Any], tensors: dict[str, np.ndarray]) -> TrainedNetwork:
    model = TrainedNetwork(
        classes=tuple(description["classes"]),
        novelty=_novelty(tensors),
        **_parts_of_network(description, tensors),
    )
    if len(model.classes) != model.architecture.classes:
        raise ValueError("classes and output layer differ")
    return model


def _read_encoder(description: dict[str, Any], tensors: dict[str, np.ndarray]) -> Encoder:
    return Encoder(**_parts_of_network(description, tensors))


def _parts_of_network(
    description: dict[str, Any], tensors: dict[str, np.ndarray]
) -> dict[str, Any]:
    prefix = "state."
    return {
        "architecture": layout_from_dict(description["architecture"]),
        "state": {
            name.removeprefix(prefix): value
            for name, value in tensors.items()
            if name.startswith(prefix)
        },
        "mean": tensors["mean"],
        "sd": tensors["sd"],
        **{name: description[name] for name in ("history", "settings", "full_scale")},
    }


def _novelty(tensors: dict[str, np.ndarray]) -> NoveltyReference:
    return NoveltyReference(
        **{name: tensors[f"novelty.{name}"] for name in NoveltyReference.__annotations__}
    )
