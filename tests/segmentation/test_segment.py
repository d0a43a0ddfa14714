"""Segmentation of drawn fields, and of images nobody wants to meet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake.errors import ChannelError, ConfigurationError, UnknownNameError
from phenolake.evaluation.segmentation import segmentation_scores
from phenolake.segmentation import resolve_method, segment, segment_many
from segmentation.fields import disc, field

ROLES = {"DNA": 0, "GFP": 1}


def nuclei_of(plane, **options):
    return segment(np.asarray(plane)[None], {"DNA": 0}, "classical", **options)["Nuclei"]


def f1(truth, predicted, threshold=0.7):
    return segmentation_scores(truth, predicted, [threshold])["f1"][0]


@pytest.mark.parametrize("radius", [5, 10, 18])
def test_drawn_nuclei_and_cells_are_found_at_any_size(radius):
    image, nuclei, cells = field(384, radius=radius, body=2 * radius, spacing=6 * radius)
    masks = segment(image, ROLES, "classical")
    assert list(masks) == ["Nuclei", "Cells", "Cytoplasm"]
    assert f1(nuclei, masks["Nuclei"]) == 1
    assert f1(cells, masks["Cells"]) == 1


def test_one_number_joins_the_compartments():
    image, _, _ = field(seed=3)
    masks = segment(image, ROLES, "classical")
    nuclei, cells, cytoplasm = masks.values()
    assert np.array_equal(cells[nuclei > 0], nuclei[nuclei > 0])
    assert np.array_equal(cytoplasm, np.where(nuclei > 0, 0, cells))
    assert np.array_equal(np.unique(nuclei), np.unique(cells))
    assert all(mask.dtype == np.int32 for mask in masks.values())


def test_numbers_run_in_raster_order():
    image, _, _ = field()
    nuclei = segment(image, ROLES, "classical")["Nuclei"]
    flat = nuclei.ravel()
    _, first = np.unique(flat, return_index=True)
    assert np.array_equal(np.unique(flat), np.arange(flat.max() + 1))
    assert np.all(np.diff(first[1:]) > 0)


def test_every_object_is_one_connected_piece():
    from scipy import ndimage

    image, _, _ = field(seed=5, noise=60)
    masks = segment(image, ROLES, "classical")
    for compartment in ("Nuclei", "Cells"):
        labels = masks[compartment]
        for number in range(1, labels.max() + 1):
            assert ndimage.label(labels == number, np.ones((3, 3)))[1] == 1


def test_touching_nuclei_are_split():
    plane = np.full((96, 96), 100.0)
    plane[disc(plane.shape, 48, 38, 11) | disc(plane.shape, 48, 56, 11)] = 1000
    assert nuclei_of(plane).max() == 2


def test_a_dim_nucleus_beside_bright_ones_is_found_and_haze_is_not():
    image, truth, _ = field(nucleus=2000)
    plane = image[0]
    plane[truth == 1] -= 800
    haze = disc(plane.shape, 128, 128, 60)
    plane[haze] += 120
    found = nuclei_of(plane)
    assert found.max() == truth.max()
    assert found[truth == 1].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_pixel_type_and_unit_do_not_matter(dtype):
    image, truth, _ = field()
    scaled = image / image.max()
    image = (scaled * np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else scaled).astype(
        dtype
    )
    before = image.copy()
    assert f1(truth, segment(image, ROLES, "classical")["Nuclei"]) == 1
    assert np.array_equal(before, image)


def test_uneven_background_neither_hides_nor_invents_nuclei():
    image, truth, _ = field(384)
    ramp = np.linspace(0, 2500, 384)[None, :] + np.linspace(0, 800, 384)[:, None]
    assert f1(truth, nuclei_of(image[0] + ramp)) == 1


def test_bright_debris_hides_no_nucleus():
    image, truth, _ = field()
    plane = image[0]
    plane[disc(plane.shape, 5, 5, 4)] = 60_000
    plane[200, 10] = 60_000
    found = nuclei_of(plane)
    assert f1(truth, np.where(truth > 0, found, 0)) == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["gaussian", "poisson", "uneven"])
def test_noise_without_cells_has_no_nuclei(kind, seed):
    rng = np.random.default_rng(seed)
    plane = {
        "gaussian": lambda: rng.normal(300, 20, (384, 384)),
        "poisson": lambda: rng.poisson(4, (384, 384)).astype(np.uint8),
        "uneven": lambda: np.linspace(100, 900, 384)[:, None] + rng.normal(0, 10, (384, 384)),
    }[kind]()
    masks = segment(np.stack((plane, plane)), ROLES, "classical")
    assert all(not mask.any() for mask in masks.values())


@pytest.mark.parametrize(
    "plane",
    [
        np.zeros((64, 64), np.uint16),
        np.full((64, 64), 65_535, np.uint16),
        np.full((64, 64), 255, np.uint8),
        np.full((64, 64), np.nan),
        np.full((64, 64), np.inf),
        np.arange(200.0)[None, :],
        np.ones((1, 1)),
        np.ones((200, 1)),
        np.zeros((3, 5), bool),
    ],
    ids=["black", "saturated", "saturated8", "nan", "inf", "row", "pixel", "column", "bool"],
)
def test_hopeless_images_have_no_objects(plane):
    masks = segment(np.stack((plane, plane)), ROLES, "classical")
    assert {mask.shape for mask in masks.values()} == {plane.shape}
    assert all(not mask.any() for mask in masks.values())


def test_missing_pixels_are_background():
    image, truth, _ = field()
    image[:, :, 250:] = np.nan
    image[:, 100, :10] = np.inf
    masks = segment(image, ROLES, "classical")
    assert f1(truth, masks["Nuclei"]) == 1
    assert not masks["Nuclei"][:, 250:].any()


def test_a_cell_without_visible_body_gets_a_ring():
    image, _, _ = field(cytoplasm=0)
    masks = segment(image, ROLES, "classical")
    rings = np.bincount(masks["Cytoplasm"].ravel())[1:]
    assert rings.size == masks["Nuclei"].max()
    assert rings.min() > 50


def test_without_a_cell_channel_there_are_only_nuclei():
    image, _, _ = field()
    assert list(segment(image, ROLES, "classical", cell_channel=None)) == ["Nuclei"]
    assert list(segment(image[:1], {"DNA": 0}, "classical")) == ["Nuclei"]


def test_channels_are_chosen_by_role_not_by_position():
    image, nuclei, _ = field()
    masks = segment(image[::-1], {"GFP": 0, "DNA": 1}, "classical")
    assert f1(nuclei, masks["Nuclei"]) == 1
    named = segment(image, {"a": 0, "b": 1}, "classical", nuclei_channel="a", cell_channel="b")
    assert np.array_equal(named["Cells"], masks["Cells"])


def test_a_given_diameter_replaces_the_estimate():
    image, truth, _ = field()
    assert f1(truth, nuclei_of(image[0], nuclear_diameter=20)) == 1
    assert nuclei_of(image[0], nuclear_diameter=120).max() == 0


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"image": np.zeros((8, 8))}, ChannelError, "channel, y, x"),
        ({"image": np.zeros((2, 0, 8))}, ChannelError, "shape"),
        ({"image": np.zeros((2, 8, 8), complex)}, ChannelError, "dtype"),
        ({"roles": {"DNA": 2}}, ChannelError, "channel 2, but the image has 2"),
        ({"roles": {"DNA": -1}}, ChannelError, "channel -1"),
        ({"roles": {}}, ChannelError, "roles"),
        ({"nuclei_channel": "DAN"}, UnknownNameError, "DNA"),
        ({"cell_channel": "RNA"}, UnknownNameError, "RNA"),
        ({"method": "clasical"}, UnknownNameError, "classical"),
        ({"method": "classical:x"}, UnknownNameError, "classical"),
        ({"method": "cellpose:"}, UnknownNameError, "cellpose:<name or path>"),
        ({"pixel_size_um": 0}, ConfigurationError, "pixel_size_um"),
        ({"nuclear_diameter": -3}, ConfigurationError, "nuclear_diameter"),
    ],
)
def test_impossible_requests_are_refused_in_words(arguments, error, text):
    call = {"image": np.zeros((2, 8, 8)), "roles": ROLES, "method": "classical", **arguments}
    with pytest.raises(error, match=text):
        segment(**call)


def test_many_images_are_read_one_at_a_time():
    image, _, _ = field()
    read = []

    def images():
        for number in range(3):
            read.append(number)
            yield image

    results = segment_many(images(), ROLES, "classical")
    first = next(results)
    assert read == [0]
    assert np.array_equal(first["Cells"], segment(image, ROLES, "classical")["Cells"])
    assert len(list(results)) == 2


def test_auto_is_compact_without_cellpose_weights_and_says_why(monkeypatch, tmp_path):
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path))
    resolved = resolve_method("auto")
    assert resolved.name == "compact"
    assert len(resolved.model_hash) == 64
    assert "ellpose" in resolved.reason
    assert resolve_method("classical").name == "classical"


@settings(max_examples=15, deadline=None)
@given(
    gain=st.floats(0.01, 100),
    offset=st.floats(0, 1000),
    flip=st.booleans(),
    seed=st.integers(0, 3),
)
def test_gain_offset_and_mirroring_change_no_count(gain, offset, flip, seed):
    image, truth, _ = field(192, seed=seed)
    changed = image[:, ::-1] if flip else image
    masks = segment(changed * gain + offset, ROLES, "classical")
    assert masks["Nuclei"].max() == truth.max()
