"""Masks from flows: hand-worked fields, a walk step by step, Cellpose's own masks, odd input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake.errors import ChannelError
from phenolake.evaluation.segmentation import segmentation_scores
from phenolake.segmentation.flow_check import flow_errors
from phenolake.segmentation.flow_decoder import labels_from_flows
from phenolake.segmentation.flow_kernels import fill_object_holes
from phenolake.segmentation.flow_targets import flows_from_labels
from phenolake.segmentation.flow_walk import padded_field, walk_ends
from segmentation.fields import disc
from segmentation.flow_fields import packed_cells, predicted


def exact(labels):
    """Flows and logits of a network that makes no mistake."""
    return flows_from_labels(labels), np.where(labels > 0, 5, -5).astype(np.float32)


def f1(truth, found, threshold=0.9):
    return segmentation_scores(truth, found, [threshold])["f1"][0]


def slow_ends(flows, foreground, steps):
    """Where each walk ends, all walks at once, no walk cut short."""
    rows, columns = foreground.shape
    field = np.pad(np.where(foreground, flows, np.float32(0)), ((0, 0), (1, 1), (1, 1)))
    at = np.argwhere(foreground).T.astype(np.float32)
    scale = np.array([rows / max(rows - 1, 1), columns / max(columns - 1, 1)], np.float32)[:, None]
    last = np.array([rows - 1, columns - 1], np.float32)[:, None]
    for _ in range(steps):
        place = at * scale + np.float32(0.5)
        corner = place.astype(np.int32)
        (down, right), (top, left) = place - corner.astype(np.float32), corner
        up, back = 1 - down, 1 - right
        step = up * back * field[:, top, left] + up * right * field[:, top, left + 1]
        step = step + down * back * field[:, top + 1, left]
        step = step + down * right * field[:, top + 1, left + 1]
        at = np.clip(at + step, 0, last).astype(np.float32)
    end = at.astype(np.int32)
    return end[0] * columns + end[1]


@pytest.mark.parametrize("steps", [0, 1, 2, 17, 100, 201])
@pytest.mark.parametrize("smooth", [False, True])
def test_walks_cut_short_end_where_whole_walks_end(steps, smooth):
    labels = packed_cells(72, 9, seed=steps)
    flows, logits = predicted(labels, steps) if smooth else exact(labels)
    foreground = logits > 0
    pixels = np.flatnonzero(foreground)
    ends = walk_ends(padded_field(flows, foreground), pixels, steps)
    assert np.array_equal(ends, slow_ends(flows, foreground, steps))
    if steps == 0:
        assert np.array_equal(ends, pixels)


def test_objects_come_back_from_their_own_flows_even_where_they_touch():
    truth = packed_cells(160, 16)
    assert f1(truth, labels_from_flows(*exact(truth))) == 1
    halves = np.zeros((40, 60), np.int32)
    halves[5:35, 5:30], halves[5:35, 30:55] = 1, 2
    assert f1(halves, labels_from_flows(*exact(halves)), 0.8) == 1


def test_numbers_run_in_raster_order_and_do_not_depend_on_those_of_the_truth():
    truth = packed_cells(128, 9)
    found = labels_from_flows(*exact(truth))
    assert found.dtype == np.int32
    names, first = np.unique(found, return_index=True)
    assert np.array_equal(names, np.arange(found.max() + 1))
    assert np.all(np.diff(first[1:]) > 0)
    assert np.array_equal(found, labels_from_flows(*exact((10 - truth) * (truth > 0))))


def test_an_object_whose_flows_fit_no_outline_is_dropped_by_the_check_alone():
    truth = packed_cells(128, 9)
    flows, logits = exact(truth)
    # The walks still meet, but flows of this length are no outline's: (1 - 0.3)^2 is above 0.4.
    flows[:, truth == 5] *= np.float32(0.3)
    unchecked = labels_from_flows(flows, logits, flow_threshold=0)
    checked = labels_from_flows(flows, logits)
    assert (unchecked[truth == 5] > 0).mean() > 0.5
    assert not checked[truth == 5].any()
    assert checked.max() == 8


def test_holes_are_filled_and_small_and_huge_objects_dropped():
    truth = disc((80, 80), 40, 40, 20).astype(np.int32)
    flows, logits = exact(truth)
    logits[37, 31] = -5
    found = labels_from_flows(flows, logits)
    assert found[37, 31] == 1
    assert labels_from_flows(flows, logits, smallest=2000).max() == 0
    assert labels_from_flows(flows, logits, largest_share=0.1).max() == 0


def test_a_ring_takes_what_it_encloses():
    labels = np.zeros((9, 9), np.int32)
    labels[0:9, 0:9] = 1
    labels[1:8, 1:8] = 0
    labels[3:6, 3:6] = 2
    labels[4, 4] = 0
    assert np.array_equal(fill_object_holes(labels, 2), np.ones((9, 9)))
    labels[0, 4] = 0  # a gap of one pixel opens the ring, but not the square
    opened = fill_object_holes(labels, 2)
    assert opened[4, 4] == 2
    assert opened[1, 1] == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2), (30, 40)])
def test_fields_without_foreground_or_size_have_no_objects(shape):
    nothing = labels_from_flows(np.zeros((2, *shape)), np.full(shape, -3.0))
    assert nothing.shape == shape
    assert not nothing.any()
    still = labels_from_flows(np.zeros((2, *shape)), np.full(shape, 3.0))
    assert not still.any()


def test_one_foreground_pixel_is_no_object():
    logits = np.full((20, 20), -1.0)
    logits[7, 9] = 1
    assert labels_from_flows(np.zeros((2, 20, 20)), logits).max() == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_background(bad):
    truth = packed_cells(96, 4)
    flows, logits = exact(truth)
    holed = np.where(truth == 2, -5, logits).astype(np.float32)
    expected = labels_from_flows(flows, holed)
    flows[0, truth == 2] = bad
    assert np.array_equal(labels_from_flows(flows, logits), expected)
    flows, logits = exact(truth)
    logits[truth == 2] = bad
    assert np.array_equal(labels_from_flows(flows, logits), expected)
    assert labels_from_flows(np.full((2, 9, 9), bad), np.ones((9, 9))).max() == 0


@pytest.mark.parametrize(
    ("flows", "logits"),
    [((3, 8, 8), (8, 8)), ((2, 8, 8), (8, 9)), ((2, 0, 8), (0, 8)), ((8, 8), (8, 8))],
)
def test_shapes_that_do_not_fit_are_refused_in_words(flows, logits):
    with pytest.raises(ChannelError, match="flows"):
        labels_from_flows(np.zeros(flows), np.zeros(logits))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 24), st.integers(1, 24))
def test_any_field_gives_numbered_objects_of_a_size_within_the_foreground(seed, rows, columns):
    rng = np.random.default_rng(seed)
    flows = rng.normal(0, 2, (2, rows, columns)).astype(np.float32)
    logits = rng.normal(1, 1, (rows, columns)).astype(np.float32)
    found = labels_from_flows(flows, logits, flow_threshold=0, smallest=3, largest_share=1)
    assert np.array_equal(np.unique(found[found > 0]), np.arange(1, found.max() + 1))
    assert np.all(np.bincount(found.ravel())[1:] >= 3)
    assert np.array_equal(
        found, labels_from_flows(flows, logits, flow_threshold=0, smallest=3, largest_share=1)
    )


@pytest.mark.parametrize("check", [0.0, 0.4])
@pytest.mark.parametrize(("size", "count", "noise"), [(200, 9, 0.3), (180, 25, 0.42)])
def test_masks_are_those_of_cellpose(size, count, noise, check):
    dynamics = pytest.importorskip("cellpose.dynamics")
    truth = packed_cells(size, count, seed=count)
    flows, logits = predicted(truth, seed=1, noise=noise)
    theirs = dynamics.compute_masks(5 * flows, logits, flow_threshold=check, min_size=15)
    ours = labels_from_flows(flows, logits, flow_threshold=check)
    assert theirs.max() >= count // 3
    assert f1(theirs.astype(np.int32), ours) >= 0.99


@pytest.mark.parametrize("seed", range(3))
def test_flow_errors_are_those_of_cellpose(seed):
    dynamics = pytest.importorskip("cellpose.dynamics")
    labels = packed_cells(150, 9, seed, fill=0.6)
    labels[60:90, 20:110] = 4 + seed  # one long object, in pieces of others
    labels[3:7, 3:9] = 10  # even sides: the centre of mass lies between pixels
    labels[140, 140] = 11
    flows, _ = predicted(labels, seed)
    theirs = dynamics.flow_error(labels.astype(np.int64), 5 * flows)[0]
    ours = flow_errors(labels, flows, 11)
    assert ours[0] == 0
    assert np.allclose(ours[1:], theirs, rtol=1e-6)


def test_a_wide_object_is_checked_as_if_heat_had_time_without_end():
    dynamics = pytest.importorskip("cellpose.dynamics")
    labels = np.zeros((40, 200), np.int32)
    labels[2:8, 2:8], labels[20, 2:198] = 1, 2  # the small one rests long before the long one
    flows = np.zeros((2, 40, 200), np.float32)
    flows[0] = 0.5
    theirs = dynamics.flow_error(labels.astype(np.int64), 5 * flows)[0]
    # At the middle of a straight line rounding alone decides which way heat flows.
    assert np.allclose(flow_errors(labels, flows, 3), [0, *theirs, 0], atol=1.01 / 196)
