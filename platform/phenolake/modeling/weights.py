"""Models as files: numbers in safetensors, everything else in JSON; reading runs no code."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from phenolake.errors import ConfigurationError, ModelFileError
from phenolake.modeling.encoder import Encoder
from phenolake.modeling.model_parts import Model, arrays_of, description_of, model_of

__all__ = ["Model", "read_any", "read_encoder", "read_model", "save_model", "weights_sha256"]

WEIGHTS_FILE = "model.safetensors"
DESCRIPTION_FILE = "model.json"
_FORMAT = 1


def save_model(model: Model | Encoder, folder: Path) -> str:
    """Write `model.safetensors` and `model.json`; return the SHA-256 of the weights file."""
    from safetensors.numpy import save

    weights = save(arrays_of(model))
    digest = hashlib.sha256(weights).hexdigest()
    description = {"format": _FORMAT, "weights_sha256": digest, **description_of(model)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS_FILE).write_bytes(weights)
    (folder / DESCRIPTION_FILE).write_text(json.dumps(description, indent=1) + "\n")
    return digest


def weights_sha256(model: Model | Encoder) -> str:
    """Return the SHA-256 that `save_model` would give."""
    from safetensors.numpy import save

    return hashlib.sha256(save(arrays_of(model))).hexdigest()


def read_model(folder: Path) -> Model:
    """Return the model stored in a folder.

    Raises
    ------
    ModelFileError
        If a file is missing, damaged, changed since it was written, or of a later format, or if it
        holds an encoder.
    """
    model = read_any(folder)
    if isinstance(model, Encoder):
        raise ModelFileError(folder, "holds an encoder, which names no classes")
    return model


def read_encoder(folder: Path) -> Encoder:
    """Return the encoder stored in a folder; raises what `read_model` does."""
    model = read_any(folder)
    if not isinstance(model, Encoder):
        raise ModelFileError(folder, f"holds a {model.kind}, not an encoder")
    return model


def read_any(folder: Path) -> Model | Encoder:
    """Return the classifier or encoder stored in a folder; raises what `read_model` does of files."""
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
        return model_of(description, load(weights))
    except FileNotFoundError as error:
        raise ModelFileError(error.filename, "missing; a model is two files") from error
    except (
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        RecursionError,
        SafetensorError,
        ConfigurationError,
    ) as error:
        raise ModelFileError(path, f"not a usable model ({error})") from error
