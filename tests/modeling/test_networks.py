import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from phenolake.errors import (
    ConfigurationError,
    ModelFileError,
    PackageMissingError,
    UnknownNameError,
)
from phenolake.modeling.learning.augmentation import augment
from phenolake.modeling.networks import (
    CNN_MODELS,
    Architecture,
    Backbone,
    MultipleInstance,
    MultiScale,
    ResNet18,
    WideResidual,
    build_network,
    layout_from_dict,
    load_body,
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


def wide_weights(n, k, classes=8, channels=4):
    """The study's table, row by row, for 32x32 crops; shortcuts across widths are 1x1."""
    total, before = 9 * channels * 16 * k, 16 * k
    for narrow in (16, 32, 64):
        wide = narrow * k
        total += 9 * before * wide + (2 * n - 1) * 9 * wide * wide + 9 * wide * narrow
        total += before * wide if before != wide else 0
        before = narrow
    return total + 9 * 64 * 10 + 4 * 4 * 10 * classes


@pytest.mark.parametrize(("n", "k", "convolutions"), [(4, 1, 29), (8, 1, 53), (4, 2, 29)])
def test_wide_residual_networks_are_as_deep_and_heavy_as_published(n, k, convolutions):
    network = build_network(WideResidual(8, blocks=n, widening=k))
    kernels = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert sum(layer.kernel_size == (3, 3) for layer in kernels) == convolutions
    assert weight_count(network) == wide_weights(n, k)
    assert network.output.in_features == 4 * 4 * 10


def test_the_headline_network_has_eleven_point_nine_million_weights():
    with torch.device("meta"):
        network = build_network(named_model("wide_8_4", 8, 4, 32)[0])
    assert weight_count(network) == wide_weights(8, 4)
    assert 11.9e6 < wide_weights(8, 4) < 12.0e6


LAYOUTS = [
    WideResidual(3, channels=2, size=13, blocks=1, widening=1),
    ResNet18(3, channels=2, size=24, width=4),
    ResNet18(3, channels=2, size=70, width=4),
    MultipleInstance(3, channels=2, size=45, widths=(4, 6)),
    MultiScale(3, channels=2, size=39, scales=(1, 2, 4), width=4, hidden=7),
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.kind)
def test_every_layout_gives_embeddings_and_logits_and_survives_json(layout):
    network = build_network(layout).eval()
    images = torch.rand(2, 2, layout.size, layout.size)
    assert network(images).shape == (2, 3)
    assert network.body(images).shape == (2, network.output.in_features)
    assert layout_from_dict(json.loads(json.dumps(layout.as_dict()))) == layout


def test_attention_says_which_places_speak_for_a_field():
    body = build_network(MultipleInstance(2, channels=1, size=16, widths=(4,))).eval().body
    maps = body[:-2](torch.rand(3, 1, 16, 16))
    weights = body[-2].weights(maps)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
    expected = (maps.flatten(2) * weights[:, None]).sum(dim=2)
    torch.testing.assert_close(body[-2](maps), expected)


def test_weights_of_three_channels_start_a_network_of_five(tmp_path):
    source = build_network(ResNet18(4, channels=3, size=16, width=4))
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": source.body.state_dict()}, path)
    target = build_network(ResNet18(9, channels=5, size=16, width=4))
    assert load_body(target, path) == []
    grey = torch.rand(2, 1, 16, 16)
    wanted = source.eval().body(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(target.eval().body(grey.expand(-1, 5, -1, -1)), wanted)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"other": torch.zeros(2)}, "no weight has the name"),
        ({"1.weight": torch.zeros(7)}, "has shape"),
        (getattr, "reads safely"),
        (None, "no such file"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, held, message):
    path = tmp_path / "weights.pt"
    if held is not None:
        torch.save(held, path)
    with pytest.raises(ModelFileError, match=message):
        load_body(build_network(ResNet18(2, channels=1, size=16, width=4)), path)


def test_a_backbone_of_timm_is_built_without_its_classifier_or_asked_for(monkeypatch):
    def create_model(name, pretrained, in_chans, num_classes, drop_rate):
        assert (name, pretrained, num_classes) == ("tiny", False, 0)
        body = torch.nn.Sequential(torch.nn.Conv2d(in_chans, 5, 3), torch.nn.AdaptiveAvgPool2d(1))
        body.append(torch.nn.Flatten()).num_features = 5
        return body

    layout = named_model("timm:tiny", 3, 6, 16)[0]
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    assert build_network(layout)(torch.zeros(2, 6, 16, 16)).shape == (2, 3)
    assert layout_from_dict(layout.as_dict()) == layout == Backbone(3, 6, 16, name="tiny")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(PackageMissingError, match="pip install timm"):
        build_network(layout)


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
