"""Bad and odd input to `segment`, the same demands on every method: a clear result or one error.

A new method joins by its name in `METHODS_HERE`.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake.errors import ChannelError, PhenolakeError, UnknownNameError
from phenolake.segmentation import segment
from segmentation.fields import field

ROLES = {"DNA": 0, "GFP": 1}

#: Methods that run anywhere, without a download.
METHODS_HERE = ["classical", "compact"]

every_method = pytest.mark.parametrize("method", METHODS_HERE)


def pair(plane: np.ndarray) -> np.ndarray:
    return np.stack((plane, plane))


def checked(masks: dict[str, np.ndarray], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """What must hold of any result: types, shapes, numbers, one number over compartments."""
    nuclei = masks["Nuclei"]
    for labels in masks.values():
        assert labels.shape == shape
        assert labels.dtype == np.int32
        assert labels.min(initial=0) >= 0
    assert np.array_equal(np.unique(np.append(nuclei, 0)), np.arange(nuclei.max(initial=0) + 1))
    if "Cells" in masks:
        cells = masks["Cells"]
        assert np.array_equal(cells[nuclei > 0], nuclei[nuclei > 0])
        assert np.array_equal(np.unique(np.append(cells, 0)), np.unique(np.append(nuclei, 0)))
        assert np.array_equal(masks["Cytoplasm"], np.where(nuclei > 0, 0, cells))
    return masks


FEATURELESS = {
    "black": np.zeros((64, 64), np.uint16),
    "saturated 8 bit": np.full((64, 64), 255, np.uint8),
    "saturated 12 bit": np.full((64, 64), 4095, np.uint16),
    "saturated 16 bit": np.full((64, 64), 65535, np.uint16),
    "saturated 32 bit": np.full((64, 64), 2**32 - 1, np.uint32),
    "one pixel": np.ones((1, 1), np.uint16),
    "one row": np.arange(300, dtype=np.uint16)[None, :],
    "one column": np.full((300, 1), 7, np.uint8),
    "two by two": np.array([[0, 9], [9, 0]], np.uint8),
    "all NaN": np.full((64, 64), np.nan),
    "all infinite": np.full((64, 64), np.inf),
    "all negative infinite": np.full((64, 64), -np.inf),
    "constant negative": np.full((64, 64), -3.5),
    "tiny floats": np.full((64, 64), 1e-38, np.float32),
    "huge floats": np.full((64, 64), 3e38, np.float32),
    "false": np.zeros((64, 64), bool),
}


@every_method
@pytest.mark.parametrize("kind", FEATURELESS)
def test_an_image_without_features_has_no_objects(method, kind):
    plane = FEATURELESS[kind]
    masks = checked(segment(pair(plane), ROLES, method), plane.shape)
    assert not any(labels.any() for labels in masks.values())


@every_method
@pytest.mark.parametrize(
    ("dtype", "top"),
    [
        (np.uint8, 255),
        (np.uint16, 4095),
        (np.uint16, 65535),
        (np.uint32, 2**32 - 1),
        (np.int16, 32767),
        (np.float16, 1),
        (np.float32, 1),
        (np.float64, 1e6),
    ],
)
def test_depth_of_pixels_does_not_change_the_count(method, dtype, top):
    image, truth, _ = field(192)
    scaled = image / image.max() * top
    # The largest 32-bit number has no exact float32; rounding up would leave the type.
    before = np.minimum(scaled.astype(np.float64), top * (1 - 1e-6)).astype(dtype)
    image = before.copy()
    masks = checked(segment(image, ROLES, method), truth.shape)
    assert masks["Nuclei"].max() == truth.max()
    assert np.array_equal(image, before)


@every_method
def test_a_camera_offset_below_zero_does_not_change_the_count(method):
    image, truth, _ = field(192)
    masks = checked(segment(image - 5000, ROLES, method), truth.shape)
    assert masks["Nuclei"].max() == truth.max()


@every_method
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_missing_pixels_cost_no_nucleus_that_is_whole(method, value):
    image, truth, _ = field(256)
    image[:, :, 250:] = value
    image[:, 100:102, :8] = value
    masks = checked(segment(image, ROLES, method), truth.shape)
    assert masks["Nuclei"].max() == truth.max()
    assert not masks["Nuclei"][:, 252:].any()


@every_method
def test_a_saturated_patch_does_not_hide_the_rest(method):
    image, truth, _ = field(256)
    image[:, :12, :12] = 65535
    found = checked(segment(image, ROLES, method), truth.shape)["Nuclei"]
    inside = [n for n in range(1, truth.max() + 1) if found[truth == n].any()]
    assert len(inside) == truth.max()


@every_method
def test_swapped_channels_give_a_valid_result(method):
    """Nobody can tell from pixels which stain is which: the result is poor, never broken."""
    image, truth, _ = field(192)
    checked(segment(image, {"DNA": 1, "GFP": 0}, method), truth.shape)


@every_method
@pytest.mark.parametrize("swapped", [False, True])
def test_an_empty_channel_gives_a_valid_result(method, swapped):
    image, truth, _ = field(192)
    image[0 if swapped else 1] = 0
    masks = checked(segment(image, ROLES, method), truth.shape)
    assert (masks["Nuclei"].max() == 0) == swapped


@every_method
def test_a_missing_role_is_named(method):
    image, _, _ = field(64)
    with pytest.raises(UnknownNameError, match="RNA"):
        segment(image, ROLES, method, cell_channel="RNA")
    with pytest.raises(UnknownNameError, match="Hoechst"):
        segment(image, ROLES, method, nuclei_channel="Hoechst")
    with pytest.raises(ChannelError, match="channel 2"):
        segment(image, {"DNA": 0, "GFP": 2}, method)
    with pytest.raises(ChannelError, match="roles"):
        segment(image, {}, method)


@every_method
@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64)),
        np.zeros((2, 0, 64)),
        np.zeros((1, 2, 64, 64)),
        np.zeros((2, 8, 8), complex),
        np.array([[["a", "b"]]]),
        np.empty((2, 2, 2), object),
    ],
    ids=["two axes", "no pixels", "four axes", "complex", "texts", "objects"],
)
def test_what_is_no_image_is_refused(method, image):
    with pytest.raises(ChannelError):
        segment(image, ROLES, method)


@every_method
@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    dtype=st.sampled_from([np.uint8, np.uint16, np.int32, np.float32, np.float64, bool]),
    kind=st.sampled_from(["noise", "spikes", "steps", "broken"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_pixels_give_a_valid_result_or_one_of_our_errors(
    method, height, width, dtype, kind, seed
):
    rng = np.random.default_rng(seed)
    image = {
        "noise": lambda: rng.normal(0, 1e3, (2, height, width)),
        "spikes": lambda: (rng.random((2, height, width)) > 0.97) * rng.uniform(0, 1e5),
        "steps": lambda: np.kron(rng.integers(0, 200, (2, 4, 4)), np.ones((1, 18, 18)))[
            :, :height, :width
        ],
        "broken": lambda: np.where(
            rng.random((2, height, width)) > 0.9, np.nan, rng.normal(0, 1e30, (2, height, width))
        ),
    }[kind]()
    with np.errstate(invalid="ignore"):
        image = image.astype(dtype)
    try:
        masks = segment(image, ROLES, method)
    except PhenolakeError:
        return
    checked(masks, (height, width))
    again = segment(image, ROLES, method)
    assert all(np.array_equal(masks[name], again[name]) for name in masks)
