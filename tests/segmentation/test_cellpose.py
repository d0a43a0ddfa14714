"""The Cellpose adapter with a small network made here; no real weights."""

from __future__ import annotations

import hashlib
import logging

import numpy as np
import pytest

from phenolake.errors import CellposeMissingError, ModelFileError
from phenolake.evaluation.segmentation import segmentation_scores
from phenolake.segmentation import (
    cellpose_network,
    cellpose_weights,
    methods,
    resolve_method,
    segment,
    segment_many,
)
from phenolake.segmentation.cellpose_adapter import CellposeSegmenter
from phenolake.segmentation.cellpose_network import TimedNetwork, backbone_of, spoken
from segmentation.fields import field

torch = pytest.importorskip("torch")


class SlopeNetwork(torch.nn.Module):
    """Cellpose's interface around one blur: flows climb it, the logit is brightness."""

    def __init__(self):
        super().__init__()
        self.W2 = torch.nn.Parameter(torch.ones(()))
        self.down = torch.nn.Conv2d(1, 1, (41, 1), padding=(20, 0), bias=False)
        self.right = torch.nn.Conv2d(1, 1, (1, 41), padding=(0, 20), bias=False)
        self.diam_mean = torch.nn.Parameter(torch.tensor([30.0]), requires_grad=False)
        self.calls = []

    def forward(self, tiles):
        self.calls.append(tuple(tiles.shape))
        first = tiles[:, :1]
        relief = torch.nn.functional.pad(
            self.right(self.down(first)), (1, 1, 1, 1), mode="replicate"
        )
        dy = relief[:, 0, 2:, 1:-1] - relief[:, 0, :-2, 1:-1]
        dx = relief[:, 0, 1:-1, 2:] - relief[:, 0, 1:-1, :-2]
        length = (dy**2 + dx**2).sqrt() + 1e-6
        output = torch.stack((5 * dy / length, 5 * dx / length, 8 * (first[:, 0] - 0.5)), dim=1)
        return output, torch.zeros(len(tiles), 256)


def filled_network():
    network = SlopeNetwork()
    axis = torch.exp(-((torch.arange(41) - 20.0) ** 2) / 100)
    network.down.weight.data = (axis / axis.sum()).view(1, 1, 41, 1)
    network.right.weight.data = (axis / axis.sum()).view(1, 1, 1, 41)
    return network


def save_weights(path, **changes):
    table = {**filled_network().state_dict(), **changes}
    torch.save({name: tensor for name, tensor in table.items() if tensor is not None}, path)
    return path


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Cellpose with the small network as its only backbone, and an empty folder of weights."""
    built = []

    def empty(backbone):
        if backbone != "sam_vitl":
            raise ImportError("cpdino needs the package `dinov3` of its makers")
        with torch.device("meta"):
            built.append(SlopeNetwork())
        return built[-1]

    monkeypatch.setattr(cellpose_network, "empty_network", empty)
    monkeypatch.setattr(cellpose_weights, "empty_network", empty)
    monkeypatch.setattr(cellpose_weights.importlib.util, "find_spec", lambda name: object())
    for name in ("PHENOLAKE_WEIGHTS", "PHENOLAKE_WEIGHTS_HUB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    methods.segmenter.cache_clear()
    cellpose_weights.expected_shapes.cache_clear()
    yield built
    methods.segmenter.cache_clear()
    cellpose_weights.expected_shapes.cache_clear()


def f1(truth, found, threshold=0.7):
    return segmentation_scores(truth, found, [threshold])["f1"][0]


def test_pixels_flow_through_the_network_and_compartments_are_joined(installed, tmp_path):
    path = save_weights(tmp_path / "weights")
    image, nuclei, cells = field(300)
    masks = segment(image, {"DNA": 0, "GFP": 1}, f"cellpose:{path}")
    assert f1(nuclei, masks["Nuclei"]) == 1
    assert f1(cells, masks["Cells"]) == 1
    inside = masks["Nuclei"] > 0
    assert np.array_equal(masks["Cells"][inside], masks["Nuclei"][inside])


def test_a_given_diameter_scales_the_image_as_cellpose_does(installed, tmp_path):
    path = save_weights(tmp_path / "weights")
    image, nuclei, _ = field(300)
    masks = segment(image[:1], {"DNA": 0}, f"cellpose:{path}", nuclear_diameter=20)
    assert masks["Nuclei"].shape == (300, 300)
    assert f1(nuclei, masks["Nuclei"]) == 1
    # 300 pixels grow by 30 / 20 to 450 and get margins: two tiles of 256 across.
    assert len(installed[-1].calls) == 4


def test_masks_are_those_of_cellpose_itself_with_the_same_network(tmp_path, monkeypatch):
    models = pytest.importorskip("cellpose.models")
    network = filled_network().eval()
    network.device, network.dtype = torch.device("cpu"), torch.float32
    theirs = models.CellposeModel.__new__(models.CellposeModel)
    theirs.net, theirs.device, theirs.backbone = network, network.device, "sam_vitl"
    plane = field(330, seed=2)[0][0]
    masks = theirs.eval(plane[..., None], channel_axis=-1)[0]
    ours = CellposeSegmenter(TimedNetwork(network, "cpu"))
    from phenolake.segmentation.channels import Channels

    nuclei, cells = ours(Channels(plane, None), None, None)
    assert cells is None
    assert masks.max() > 10
    assert f1(masks.astype(np.int32), nuclei, 0.9) == 1


def test_tiles_of_different_images_share_a_batch(installed, tmp_path, monkeypatch):
    from phenolake.segmentation import cellpose_adapter

    monkeypatch.setitem(cellpose_adapter._BATCH, "cpu", 4)
    path = save_weights(tmp_path / "weights")
    images = [field(128, seed=seed)[0] for seed in range(4)]
    images[2] = np.zeros_like(images[2])
    roles = {"DNA": 0, "GFP": 1}
    many = list(segment_many(images, roles, f"cellpose:{path}"))
    # Three images of two passes; the black one takes none. The first tile is timed alone.
    assert [call[0] for call in installed[-1].calls] == [1, 3, 2]
    for image, masks in zip(images, many, strict=True):
        alone = segment(image, roles, f"cellpose:{path}")
        assert all(np.array_equal(masks[name], alone[name]) for name in alone)
    assert not many[2]["Cells"].any()


def test_a_huge_image_is_worked_on_in_blocks(installed, tmp_path, monkeypatch):
    from phenolake.segmentation import cellpose_adapter
    from phenolake.segmentation.blocks import join_blocks

    path = save_weights(tmp_path / "weights")
    image, _, _ = field(300)
    whole = segment(image, {"DNA": 0, "GFP": 1}, f"cellpose:{path}")
    monkeypatch.setattr(cellpose_adapter, "BLOCK_PIXELS", 300 * 299)
    parts = []

    def small_blocks(plane, find):
        return join_blocks(plane, lambda part: (parts.append(part), find(part))[1], 150, 80)

    monkeypatch.setattr(cellpose_adapter, "join_blocks", small_blocks)
    blocks = list(
        segment_many([image, image[:, :128, :128]], {"DNA": 0, "GFP": 1}, f"cellpose:{path}")
    )
    assert len(parts) == 8
    assert f1(whole["Nuclei"], blocks[0]["Nuclei"], 0.9) == 1
    assert f1(whole["Cells"], blocks[0]["Cells"], 0.9) == 1
    assert blocks[1]["Cells"].shape == (128, 128)


def test_the_network_is_loaded_once(installed, tmp_path):
    save_weights(tmp_path / "models" / "mine")
    image, _, _ = field(128)
    segment(image[:1], {"DNA": 0}, "cellpose:mine")
    before = len(installed)
    segment(image[:1], {"DNA": 0}, "cellpose:mine")
    assert len(installed) == before


@pytest.mark.parametrize("shape", [(32, 32), (1, 40), (1, 1)])
def test_a_constant_or_thin_image_never_reaches_the_network(installed, tmp_path, shape):
    save_weights(tmp_path / "models" / "mine")
    masks = segment(np.zeros((2, *shape)), {"DNA": 0, "GFP": 1}, "cellpose:mine")
    assert installed[-1].calls == []
    assert masks["Cells"].shape == shape
    assert not masks["Cells"].any()


def test_without_a_gpu_it_says_first_how_long_it_will_take(installed, tmp_path, caplog):
    save_weights(tmp_path / "models" / "mine")
    image, _, _ = field(300)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            segment(image, {"DNA": 0, "GFP": 1}, "cellpose:mine")
    said = [record for record in caplog.records if "without a GPU" in record.message]
    assert len(said) == 1
    assert "(8 tiles)" in said[0].message
    assert [spoken(s) for s in (0.25, 26, 600, 9000)] == ["0.25 s", "26 s", "10 min", "2.5 h"]


def test_the_hash_and_the_licence_of_the_weights_are_known(installed, tmp_path):
    path = save_weights(tmp_path / "models" / "mine")
    resolved = resolve_method("cellpose:mine")
    assert resolved.model_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "CC-BY-NC" in resolved.licence
    save_weights(path, W2=torch.zeros(()))
    assert resolve_method("cellpose:mine").model_hash != resolved.model_hash
    save_weights(tmp_path / "models" / "cpsam_v2")
    assert "non-commercial" in resolve_method("cellpose:cpsam_v2").licence
    assert resolve_method("classical").licence is None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"down.weight": None}, "1 of 3 tensors are missing, first 'down.weight'"),
        ({"W2": torch.zeros(9, 9)}, "shape"),
        ([1, 2, 3], "table of named tensors"),
        (b"not a model", "not a PyTorch weights file"),
        (b"", "not a PyTorch weights file"),
        (pytest, "not a PyTorch weights file"),
        ({"encoder.cls_token": torch.zeros(1, 1, 1024)}, "dinov3"),
    ],
    ids=["missing", "shape", "list", "text", "empty", "pickle", "dino"],
)
def test_a_wrong_file_is_refused_before_it_is_loaded(installed, tmp_path, content, text):
    path = tmp_path / "models" / "wrong"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is pytest:
        torch.save({"W2": Harmful()}, path)
    elif isinstance(content, list):
        torch.save(content, path)
    else:
        save_weights(path, **content)
    for call in (resolve_method, lambda name: segment(np.eye(32)[None], {"DNA": 0}, name)):
        with pytest.raises(ModelFileError, match=text):
            call("cellpose:wrong")


class Harmful:
    """Would run code if it were unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("code from a weights file was run",))


def test_older_files_without_diameters_and_those_of_parallel_training_load(installed, tmp_path):
    table = {f"module.{name}": t for name, t in filled_network().state_dict().items()}
    del table["module.diam_mean"]
    torch.save(table, tmp_path / "models" / "old")
    image, nuclei, _ = field()
    assert f1(nuclei, segment(image[:1], {"DNA": 0}, "cellpose:old")["Nuclei"]) == 1


def test_backbones_are_told_apart_by_their_shapes():
    assert backbone_of({"W2": (1,)}) == "sam_vitl"
    assert backbone_of({"encoder.cls_token": (1, 1, 1024)}) == "dino_vitl"
    assert backbone_of({"encoder.cls_token": (1, 1, 768)}) == "dino_vitb"


@pytest.mark.parametrize("name", ["cpsam", "nowhere/weights", "../weights"])
def test_absent_weights_name_the_three_ways_and_download_nothing(installed, name):
    with pytest.raises(CellposeMissingError) as error:
        resolve_method(f"cellpose:{name}")
    for way in ("cellpose:/path", "CELLPOSE_LOCAL_MODELS_PATH", "PHENOLAKE_WEIGHTS_HUB"):
        assert way in str(error.value)
    assert installed == []


def test_an_absent_package_is_named_with_its_install(monkeypatch):
    monkeypatch.setattr(cellpose_weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CellposeMissingError, match=r"not installed.*pip install"):
        resolve_method("cellpose:cpsam")


def test_our_own_folder_goes_before_that_of_cellpose(installed, tmp_path, monkeypatch):
    save_weights(tmp_path / "models" / "mine")
    ours = tmp_path / "ours"
    ours.mkdir()
    path = save_weights(ours / "mine", W2=torch.zeros(()))
    monkeypatch.setenv("PHENOLAKE_WEIGHTS", str(ours))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert resolve_method("cellpose:mine").model_hash == digest


def test_a_hub_is_asked_once_and_its_file_is_checked_before_it_counts(
    installed, tmp_path, monkeypatch, caplog
):
    hub = tmp_path / "hub"
    hub.mkdir()
    monkeypatch.setenv("PHENOLAKE_WEIGHTS_HUB", hub.as_uri())
    save_weights(hub / "cpsam_v2")
    torch.save([1], hub / "broken")
    assert resolve_method("cellpose:cpsam_v2").model_hash
    assert "CC-BY-NC" in caplog.text
    (hub / "cpsam_v2").unlink()
    assert resolve_method("cellpose:cpsam_v2").model_hash
    with pytest.raises(ModelFileError, match="table of named tensors"):
        resolve_method("cellpose:broken")
    with pytest.raises(CellposeMissingError, match="does not send"):
        resolve_method("cellpose:cpdino")
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["cpsam_v2"]


def test_auto_takes_cellpose_where_gpu_and_weights_are_there(installed, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    save_weights(tmp_path / "models" / "cpsam")
    assert "no GPU" in resolve_method("auto").reason
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    resolved = resolve_method("auto")
    assert resolved.name == "cellpose:cpsam"
    assert len(resolved.model_hash) == 64


def test_auto_passes_over_weights_it_can_not_use_and_says_so(installed, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    (tmp_path / "models" / "cpsam_v2").write_bytes(b"half a file")
    resolved = resolve_method("auto")
    assert not resolved.name.startswith("cellpose")
    assert "not a PyTorch weights file" in resolved.reason
    save_weights(tmp_path / "models" / "cpsam")
    resolved = resolve_method("auto")
    assert resolved.name == "cellpose:cpsam"
    assert "not a PyTorch weights file" in resolved.reason


@pytest.mark.slow
def test_the_expected_network_is_built_without_memory():
    pytest.importorskip("cellpose.vit")
    shapes = cellpose_weights.expected_shapes("sam_vitl")
    assert shapes["W2"] == (192, 3, 8, 8)
    assert len(shapes) > 300
