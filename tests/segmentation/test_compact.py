"""`compact`: what its segmenter promises, whatever the weights; and what the shipped ones find."""

import numpy as np
import pytest

from phenolake.errors import ModelFileError, UnknownNameError
from phenolake.evaluation import segmentation_scores
from phenolake.segmentation import resolve_method, segment, segment_many
from phenolake.segmentation.blocks import join_blocks
from phenolake.segmentation.brightness import normalize_brightness
from phenolake.segmentation.compact import (
    _FLOW_THRESHOLD,
    CompactSegmenter,
    _decoded_on_device,
)
from phenolake.segmentation.compact_network import FLOW_SCALE, CompactLayout, build_compact
from phenolake.segmentation.compact_weights import SHIPPED, read_compact, save_compact
from phenolake.segmentation.flow_decoder import labels_from_flows
from phenolake.simulation import SimulationPlan, simulate_site

ROLE = {"DNA": 0}


@pytest.fixture(scope="module")
def site():
    return simulate_site(SimulationPlan(size=384, seed=5), "P01", "C05", 1)


@pytest.fixture(scope="module")
def shipped():
    return CompactSegmenter.load()


def nuclei_of(plane, **options):
    return segment(np.asarray(plane)[None], ROLE, "compact", cell_channel=None, **options)["Nuclei"]


def f1(truth, found):
    return segmentation_scores(truth, found, [0.5])["f1"][0]


def test_shipped_weights_are_below_ten_megabytes_and_have_a_card():
    assert SHIPPED.stat().st_size < 10e6
    card = SHIPPED.with_suffix(".md").read_text()
    assert "Weights SHA-256" in card
    assert "phenolake models train" in card


def test_nuclei_of_a_simulated_field_are_found(site):
    assert f1(site.nuclei, nuclei_of(site.image[0])) > 0.9


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_nuclei_of_another_size_are_found_without_a_setting(site, factor):
    from skimage.transform import resize

    shape = [round(length * factor) for length in site.nuclei.shape]
    image = resize(site.image[0].astype(np.float32), shape, order=1, anti_aliasing=factor < 1)
    truth = resize(site.nuclei, shape, order=0, preserve_range=True, anti_aliasing=False)
    assert f1(truth.astype(np.int32), nuclei_of(image)) > 0.85


def test_gain_and_offset_of_the_camera_change_nothing(site):
    plane = site.image[0].astype(np.float32)
    assert np.array_equal(nuclei_of(plane), nuclei_of(4 * plane + 1000)) or (
        f1(nuclei_of(plane), nuclei_of(4 * plane + 1000)) > 0.99
    )


def test_bright_debris_hides_no_nucleus(site):
    plane = site.image[0].astype(np.float32)
    dirty = plane.copy()
    dirty[5:11, 5:11] = 40 * plane.max()
    assert f1(nuclei_of(plane), nuclei_of(dirty)) > 0.95


def test_pooled_images_give_what_each_gives_alone(site):
    images = [site.image[:, :200, :300], site.image, site.image[:, 100:, :128]]
    roles = {"DNA": 0, "RNA": 2}
    together = list(segment_many(images, roles, "compact"))
    for image, labels in zip(images, together, strict=True):
        alone = segment(image, roles, "compact")
        for compartment, plane in alone.items():
            assert np.array_equal(plane, labels[compartment])


def test_objects_at_the_seams_of_tiles_are_whole(shipped, monkeypatch, site):
    whole = shipped.find_nuclei(site.image[0].astype(np.float32))
    monkeypatch.setattr("phenolake.segmentation.compact._TILE", 192)
    tiled = shipped.find_nuclei(site.image[0].astype(np.float32))
    assert segmentation_scores(whole, tiled, [0.8])["f1"][0] > 0.97


def test_huge_planes_go_block_by_block_with_each_object_once(shipped, monkeypatch, site):
    plane = site.image[0].astype(np.float32)
    whole = shipped.find_nuclei(plane)
    monkeypatch.setattr("phenolake.segmentation.compact.BLOCK_PIXELS", 10_000)
    monkeypatch.setattr(
        "phenolake.segmentation.compact.join_blocks",
        lambda image, find: join_blocks(image, find, core=150, margin=64),
    )
    blocks = shipped.find_nuclei(plane)
    assert segmentation_scores(whole, blocks, [0.8])["f1"][0] > 0.97


def test_mirroring_at_prediction_time_keeps_the_objects(shipped, site):
    plane = site.image[0].astype(np.float32)
    mirrored = segment(site.image[:1], {"DNA": 0}, method="compact_mirrored")["Nuclei"]
    assert f1(shipped.find_nuclei(plane), mirrored) > 0.95
    assert not np.array_equal(shipped.find_nuclei(plane), mirrored)


def test_decoding_on_a_device_gives_the_same_labels(shipped, site):
    predicted = next(shipped.predict([normalize_brightness(site.image[0].astype(np.float32))]))
    flows, logits = predicted[:2] / FLOW_SCALE, predicted[2]
    expected = labels_from_flows(flows.numpy(), logits.numpy(), flow_threshold=_FLOW_THRESHOLD)
    assert np.array_equal(_decoded_on_device(flows, logits), expected)


def test_a_given_diameter_is_taken(shipped, site):
    plane = site.image[0].astype(np.float32)
    found = shipped.find_nuclei(plane, diameter=25.0)
    assert f1(site.nuclei, found) > 0.9


@pytest.mark.parametrize(
    "plane",
    [np.zeros((64, 64)), np.full((64, 64), 65535), np.ones((1, 1)), np.ones((1, 300))],
    ids=["black", "saturated", "one pixel", "one row"],
)
def test_planes_without_contrast_have_no_nuclei(plane):
    assert not nuclei_of(plane.astype(np.uint16)).any()


def test_pure_noise_has_no_nuclei():
    noise = np.random.default_rng(0).normal(500, 20, (256, 256))
    assert nuclei_of(noise).max() <= 1


def test_brightness_puts_background_at_0_and_nuclei_near_1(site):
    bright = normalize_brightness(site.image[0].astype(np.float32))
    assert abs(np.median(bright[site.cells == 0])) < 0.1
    assert 0.6 < np.median(bright[site.nuclei > 0]) < 1.6


def test_weights_come_back_as_they_were_written(tmp_path):
    import torch

    layout = CompactLayout((8, 16))
    network = build_compact(layout).eval()
    save_compact(network, layout, tmp_path / "own.safetensors", {"images": "mine"})
    read, facts = read_compact(tmp_path / "own.safetensors")
    assert facts == {"images": "mine"}
    assert read.layout == layout
    plane = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.allclose(network(plane), read(plane), atol=2e-2)


def test_a_weights_file_is_a_method_of_its_own(tmp_path, site):
    layout = CompactLayout((8, 16))
    save_compact(build_compact(layout), layout, tmp_path / "own.safetensors", {})
    name = f"compact:{tmp_path / 'own.safetensors'}"
    resolved = resolve_method(name)
    assert len(resolved.model_hash) == 64
    assert segment(site.image[:1], ROLE, name)["Nuclei"].shape == site.nuclei.shape


@pytest.mark.parametrize(
    "content", [b"", b"not weights", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "]
)
def test_a_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"bad\.safetensors"):
        read_compact(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"nowhere\.safetensors"):
        resolve_method(f"compact:{tmp_path / 'nowhere.safetensors'}")


def test_method_without_a_name_after_the_colon_is_unknown():
    with pytest.raises(UnknownNameError):
        resolve_method("compact:")


def test_auto_without_a_gpu_is_compact():
    resolved = resolve_method("auto")
    assert resolved.name == "compact" or resolved.name.startswith("cellpose:")
    assert resolved.reason.startswith("auto: ")
