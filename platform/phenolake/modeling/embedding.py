"""What any network sees in cells: the numbers of its last layer before the classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phenolake.errors import TrainingDataError
from phenolake.modeling.encoder import Encoder
from phenolake.modeling.ensemble import Ensemble
from phenolake.modeling.prediction import model_files
from phenolake.modeling.trained_network import TrainedNetwork
from phenolake.modeling.weights import read_any, weights_sha256


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network that embeds crops, and what it is called; version is its weights' hash in a folder."""

    model: TrainedNetwork | Encoder
    name: str
    version: str


def load_network(uri: str | Path, tracking_uri: str | None = None) -> LoadedNetwork:
    """Return a classifier or encoder that embeds, from the registry or a folder.

    Of an ensemble it is the first member.

    Raises
    ------
    UnknownNameError
        If the registry has no such model.
    ModelFileError
        If its files are missing or damaged.
    TrainingDataError
        If it is no network.
    """
    with model_files(uri, tracking_uri) as (folder, version):
        model = read_any(folder)
    if isinstance(model, Ensemble):
        model = model.members[0]
    if not isinstance(model, TrainedNetwork | Encoder):
        raise TrainingDataError(f"{uri} is a {model.kind}; only networks have embeddings")
    if version is None:
        return LoadedNetwork(model, Path(uri).name, weights_sha256(model)[:12])
    return LoadedNetwork(model, version.name, version.version)


def embed(
    data: np.ndarray, model: str | Path | LoadedNetwork | TrainedNetwork | Encoder
) -> np.ndarray:
    """Return the embeddings of crops by any network, float32 (n, unit).

    Parameters
    ----------
    data
        Crops (n, channel, y, x) or (n, y, x), see `as_uint8`.
    model
        A network, or what `load_network` takes.

    Raises
    ------
    TrainingDataError
        If the crops don't fit the network.
    """
    if isinstance(model, str | Path):
        model = load_network(model)
    return (model.model if isinstance(model, LoadedNetwork) else model).embed(data)
