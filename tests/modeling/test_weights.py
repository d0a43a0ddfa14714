import json

import numpy as np
import pytest

from phenolake.errors import ModelFileError
from phenolake.modeling import (
    load_model,
    predict,
    read_model,
    save_model,
    train_forest,
    train_network,
)
from phenolake.modeling.weights import weights_sha256


@pytest.fixture(scope="module")
def network(disks, parts, tiny):
    return train_network(*disks, parts, model=tiny, epochs=1, device="cpu", full_scale=200)


@pytest.fixture(scope="module")
def forest(blobs):
    split = np.where(np.arange(300) < 200, "train", "validation")
    return train_forest(*blobs, split, trees=3)


@pytest.mark.parametrize("kind", ["network", "forest"])
def test_a_stored_model_says_the_same(kind, request, tmp_path, disks, blobs):
    model = request.getfixturevalue(kind)
    data = disks[0] if kind == "network" else blobs[0]
    digest = save_model(model, tmp_path / "m")
    assert digest == weights_sha256(model) == weights_sha256(read_model(tmp_path / "m"))
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "model.json",
        "model.safetensors",
    ]
    assert predict(data, tmp_path / "m").equals(predict(data, model))
    assert load_model(tmp_path / "m").kind == kind


def edit(folder, **changes):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.json").unlink(), "missing"),
        (lambda folder: (folder / "model.safetensors").unlink(), "missing"),
        (lambda folder: (folder / "model.json").write_text("{"), "not a usable model"),
        (lambda folder: (folder / "model.json").write_text("[]"), "not a usable model"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 50), "SHA-256"),
        (lambda folder: edit(folder, format=99), "format 99"),
        (lambda folder: edit(folder, classes=["only"]), "classes"),
        (lambda folder: edit(folder, kind="pickle"), "pickle"),
        (
            lambda folder: edit(folder, architecture={"widths": [10**9], "hidden": []}),
            "not a usable model",
        ),
    ],
)
def test_damaged_models_are_refused(network, tmp_path, damage, message):
    save_model(network, tmp_path)
    damage(tmp_path)
    with pytest.raises(ModelFileError, match=message):
        read_model(tmp_path)


@pytest.mark.parametrize("widths", [[4, 16], [4096, 4096]])
def test_weights_of_another_layout_are_refused_before_memory_is_taken(
    widths, network, tmp_path, disks
):
    save_model(network, tmp_path)
    description = json.loads((tmp_path / "model.json").read_text())
    edit(tmp_path, architecture={**description["architecture"], "widths": widths})
    with pytest.raises(ModelFileError, match="do not fit"):
        predict(disks[0], tmp_path)
