"""Flow targets: they point inwards, don't mix objects, and are those of Cellpose but for contacts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake.errors import ConfigurationError
from phenolake.segmentation.flow_targets import flows_from_labels


def disc(size=41, radius=12, centre=(20, 20)):
    y, x = np.mgrid[:size, :size]
    return (np.hypot(y - centre[0], x - centre[1]) <= radius).astype(np.int32)


def test_flows_of_a_disc_point_to_its_centre():
    labels = disc()
    flows = flows_from_labels(labels)
    y, x = np.mgrid[:41, :41]
    inwards = np.stack((20 - y, 20 - x)).astype(float)
    length = np.hypot(*inwards)
    far = (labels > 0) & (length > 2)
    assert ((flows * inwards).sum(axis=0)[far] / length[far]).min() > 0.95


def test_background_has_no_flow_and_objects_unit_flow():
    labels = disc()
    length = np.hypot(*flows_from_labels(labels))
    assert not length[labels == 0].any()
    assert np.allclose(length[(labels > 0) & (length > 0)], 1, atol=1e-5)


def test_flows_agree_with_those_of_cellpose():
    dynamics = pytest.importorskip("cellpose.dynamics")
    labels = disc(81, 9, (20, 20)) + 2 * disc(81, 14, (52, 55))
    theirs = dynamics.labels_to_flows([labels])[0][2:4]
    ours = flows_from_labels(labels)
    cosine = (ours * theirs).sum(axis=0)[labels > 0]
    assert (cosine > 0.95).mean() > 0.98


def test_numbers_need_not_be_consecutive():
    labels = disc(81, 9, (20, 20)) * 7 + disc(81, 14, (52, 55)) * 100_000
    dense = disc(81, 9, (20, 20)) + 2 * disc(81, 14, (52, 55))
    assert np.array_equal(flows_from_labels(labels), flows_from_labels(dense))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_flows_of_random_labels_are_finite_and_turn_with_the_image(seed):
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 4, (4, 5)), np.ones((5, 5), int))
    flows = flows_from_labels(labels)
    assert np.isfinite(flows).all()
    # A mirror moves the centre pixel of even-sided objects by one; directions stay close.
    mirrored = flows_from_labels(labels[:, ::-1])[:, :, ::-1] * np.array([1, -1])[:, None, None]
    both = (np.hypot(*flows) > 0) & (np.hypot(*mirrored) > 0)
    assert both.sum() == 0 or (flows * mirrored).sum(axis=0)[both].mean() > 0.8


def test_empty_labels_have_no_flow():
    assert not flows_from_labels(np.zeros((5, 7), np.uint16)).any()


def test_labels_must_be_a_plane():
    with pytest.raises(ConfigurationError, match="plane"):
        flows_from_labels(np.zeros((2, 3, 4), int))
