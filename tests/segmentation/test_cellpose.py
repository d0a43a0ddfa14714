"""The Cellpose adapter with stub networks and small files; no real weights."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from phenolake.errors import CellposeMissingError, ModelFileError
from phenolake.segmentation import cellpose_weights, methods, resolve_method, segment
from segmentation.fields import field

torch = pytest.importorskip("torch")


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Cellpose as a stub: a tiny expected network, and a model that thresholds its input."""
    seen = []

    class CellposeModel:
        def __init__(self, gpu, pretrained_model):
            seen.append(pretrained_model)

        def eval(self, image, channel_axis, diameter):
            from scipy import ndimage

            seen.append((image.shape, channel_axis, diameter))
            plane = image[..., 0]
            labels = ndimage.label(plane > plane.mean() + plane.std())[0]
            return labels.astype(np.uint16), None, None

    module = types.ModuleType("cellpose.models")
    module.CellposeModel = CellposeModel
    package = types.ModuleType("cellpose")
    package.models = module
    monkeypatch.setitem(sys.modules, "cellpose", package)
    monkeypatch.setitem(sys.modules, "cellpose.models", module)
    monkeypatch.setattr(cellpose_weights.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(
        cellpose_weights, "expected_shapes", lambda: {"W2": (2, 3), "out.bias": (4,)}
    )
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    methods.segmenter.cache_clear()
    yield seen
    methods.segmenter.cache_clear()


def good_weights(path):
    torch.save({"W2": torch.zeros(2, 3), "out.bias": torch.zeros(4), "extra": torch.ones(1)}, path)
    return path


def test_pixels_flow_through_the_network_and_compartments_are_joined(installed, tmp_path):
    path = good_weights(tmp_path / "weights")
    image, nuclei, _ = field()
    masks = segment(image, {"DNA": 0, "GFP": 1}, f"cellpose:{path}", nuclear_diameter=20)
    assert installed == [str(path), ((256, 256, 1), -1, 20), ((256, 256, 2), -1, None)]
    assert masks["Nuclei"].max() == nuclei.max()
    assert masks["Nuclei"].dtype == np.int32
    inside = masks["Nuclei"] > 0
    assert np.array_equal(masks["Cells"][inside], masks["Nuclei"][inside])


def test_the_network_is_loaded_once(installed, tmp_path):
    good_weights(tmp_path / "models" / "mine")
    image, _, _ = field(128)
    for _ in range(2):
        segment(image[:1], {"DNA": 0}, "cellpose:mine")
    assert len([entry for entry in installed if isinstance(entry, str)]) == 1


def test_a_constant_image_never_reaches_the_network(installed, tmp_path):
    good_weights(tmp_path / "models" / "mine")
    masks = segment(np.zeros((2, 32, 32)), {"DNA": 0, "GFP": 1}, "cellpose:mine")
    assert len(installed) == 1
    assert not masks["Cells"].any()


def test_the_hash_of_the_weights_is_recorded(installed, tmp_path):
    import hashlib

    path = good_weights(tmp_path / "models" / "mine")
    resolved = resolve_method("cellpose:mine")
    assert resolved.model_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    torch.save({"W2": torch.ones(2, 3), "out.bias": torch.zeros(4), "x": torch.ones(9)}, path)
    assert resolve_method("cellpose:mine").model_hash != resolved.model_hash


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"W2": torch.zeros(2, 3)}, "1 of 2 tensors are missing, first 'out.bias'"),
        ({"W2": torch.zeros(9, 9), "out.bias": torch.zeros(4)}, "shape"),
        ([1, 2, 3], "table of named tensors"),
        ({"W2": 1}, "table of named tensors"),
        (b"not a model", "not a PyTorch weights file"),
        (b"", "not a PyTorch weights file"),
        (pytest, "not a PyTorch weights file"),
    ],
    ids=["missing", "shape", "list", "number", "text", "empty", "pickle"],
)
def test_a_wrong_file_is_refused_before_it_is_loaded(installed, tmp_path, content, text):
    path = tmp_path / "models" / "wrong"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is pytest:
        torch.save({"W2": Harmful()}, path)
    else:
        torch.save(content, path)
    for call in (resolve_method, lambda name: segment(np.eye(32)[None], {"DNA": 0}, name)):
        with pytest.raises(ModelFileError, match=text):
            call("cellpose:wrong")
    assert installed == []


class Harmful:
    """Would run code if it were unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("code from a weights file was run",))


@pytest.mark.parametrize("name", ["cpsam", "nowhere/weights", "../weights"])
def test_absent_weights_name_the_three_ways_and_download_nothing(installed, name):
    with pytest.raises(CellposeMissingError) as error:
        resolve_method(f"cellpose:{name}")
    for way in ("pip install", "cellpose:/path", "CELLPOSE_LOCAL_MODELS_PATH"):
        assert way in str(error.value)
    assert installed == []


def test_an_absent_package_names_the_three_ways(monkeypatch):
    monkeypatch.setattr(cellpose_weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CellposeMissingError, match="not installed"):
        resolve_method("cellpose:cpsam")


def test_auto_takes_cellpose_where_gpu_and_weights_are_there(installed, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    good_weights(tmp_path / "models" / "cpsam")
    assert "no GPU" in resolve_method("auto").reason
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    resolved = resolve_method("auto")
    assert resolved.name == "cellpose:cpsam"
    assert len(resolved.model_hash) == 64


@pytest.mark.slow
def test_the_expected_network_is_built_without_memory():
    pytest.importorskip("cellpose.vit")
    shapes = cellpose_weights.expected_shapes()
    assert shapes["W2"] == (192, 3, 8, 8)
    assert len(shapes) > 300
