import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.modeling.augmentation import augment
from phenolake.modeling.networks import (
    CNN_MODELS,
    Architecture,
    build_network,
    named_model,
    weight_count,
)


@pytest.mark.parametrize(
    ("name", "weights"), [("cnn1", 746_848), ("cnn2", 327_200), ("cnn3", 375_584)]
)
def test_networks_have_the_published_number_of_weights(name, weights):
    # Leuchowius (2017), Table 3: kernels and fully connected weights, no biases.
    assert weight_count(build_network(CNN_MODELS[name][0])) == weights


@pytest.mark.parametrize("downsampling", ["pool", "stride"])
@pytest.mark.parametrize("size", [8, 13, 32, 45])
def test_crops_of_any_size_go_through(size, downsampling):
    architecture = Architecture(
        3, channels=2, size=size, widths=(2, 3, 4), downsampling=downsampling
    )
    logits = build_network(architecture)(torch.zeros(2, 2, size, size))
    assert logits.shape == (2, 3)


def test_an_architecture_survives_json():
    architecture = CNN_MODELS["cnn3"][0]
    assert Architecture.from_dict(json.loads(json.dumps(architecture.as_dict()))) == architecture


@pytest.mark.parametrize(
    "change", [{"size": 4}, {"widths": (10**9,)}, {"dropout": 1.0}, {"classes": 0}]
)
def test_impossible_layouts_are_refused(change):
    with pytest.raises(ConfigurationError):
        replace(CNN_MODELS["cnn2"][0], **change)


def test_a_mistyped_network_gets_a_hint():
    with pytest.raises(UnknownNameError, match="cnn2"):
        named_model("cnn", 2, 1, 32)


def orientations(crop):
    turned = [np.rot90(crop, turns, axes=(1, 2)) for turns in range(4)]
    return turned + [np.flip(crop, 2) for crop in turned]


def test_without_shifts_all_eight_orientations_come_up_and_nothing_else():
    crop = np.arange(2 * 9, dtype=np.uint8).reshape(2, 3, 3)
    batch = torch.from_numpy(np.repeat(crop[None], 400, axis=0))
    seen = [
        tuple(out.ravel()) for out in augment(batch, torch.Generator().manual_seed(0), 0).numpy()
    ]
    expected = {tuple(turned.ravel()) for turned in orientations(crop)}
    assert set(seen) == expected
    assert min(seen.count(one) for one in expected) > 25


def test_augmented_crops_are_shifted_windows_of_the_padded_crop():
    crop = np.arange(1, 33, dtype=np.uint8).reshape(2, 4, 4)
    possible = {
        np.pad(turned, ((0, 0), (2, 2), (2, 2)))[:, y : y + 4, x : x + 4].tobytes()
        for turned in orientations(crop)
        for y in range(5)
        for x in range(5)
    }
    batch = torch.from_numpy(np.repeat(crop[None], 300, axis=0))
    augmented = augment(batch, torch.Generator().manual_seed(0), 2).numpy()
    assert all(out.tobytes() in possible for out in augmented)
    assert len({out.tobytes() for out in augmented}) > 100
