"""The application on a small lake, with a network and a forest in the place of a registry."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from phenolake.errors import UnknownNameError
from phenolake.modeling import Architecture, train_network
from phenolake.service.app import application
from small_lake import CHANNELS, CROP_SIZE, make_lake


@pytest.fixture(scope="session")
def network():
    """A network that has hardly learned anything, of the small lake's crops and classes."""
    crops = np.random.default_rng(1).integers(0, 255, (24, len(CHANNELS), CROP_SIZE, CROP_SIZE))
    layout = Architecture(
        classes=2, channels=2, size=CROP_SIZE, widths=(4,), convolutions=1, hidden=(4,), dropout=0.0
    )
    return train_network(
        crops.astype(np.uint8), np.array(["flat <i>", "round"] * 12),
        np.array(["train", "train", "validation"] * 8), model=layout, epochs=1, device="cpu",
    )  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory, network):
    models = {"m": SimpleNamespace(model=network, kind="network")}
    models["forest"] = SimpleNamespace(model=object(), kind="forest")

    def load(name: str, version: str):
        if name not in models:
            raise UnknownNameError("registered model", name, list(models))
        return models[name]

    lake = make_lake(tmp_path_factory.mktemp("lake"))
    return application(lake, "http://dagster.example", load_model=load)
