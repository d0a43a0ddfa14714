"""Detection scores against hand-made cases and a naive reference."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake.errors import ConfigurationError, MaskShapeError
from phenolake.evaluation import segmentation_scores


def naive(truth, predicted, threshold):
    """Counts from IoU of every pair, by loops; fit for thresholds above one half."""
    trues = [n for n in np.unique(truth) if n]
    guesses = [n for n in np.unique(predicted) if n]
    tp = 0
    for t in trues:
        for g in guesses:
            both = np.sum((truth == t) & (predicted == g))
            either = np.sum((truth == t) | (predicted == g))
            tp += bool(both / either >= threshold)
    return tp, len(guesses) - tp, len(trues) - tp


def test_a_hand_counted_case():
    truth = np.zeros((4, 12), np.int32)
    truth[:, 0:4], truth[:, 5:8], truth[0, 10] = 1, 2, 3
    predicted = np.zeros_like(truth)
    predicted[:, 0:3], predicted[:, 5:8], predicted[3, 10] = 4, 2, 9  # IoU 0.75, 1, 0
    row = segmentation_scores(truth, predicted, (0.5, 0.75, 0.8))
    asked = ["threshold", "tp", "fp", "fn", "precision", "recall", "f1", "ap"]
    assert row.columns[: len(asked)] == asked
    assert row["tp"].to_list() == [2, 2, 1]
    assert row["fp"].to_list() == [1, 1, 2]
    assert row["f1"].to_list() == pytest.approx([2 / 3, 2 / 3, 1 / 3])
    assert row["ap"].to_list() == pytest.approx([0.5, 0.5, 0.2])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 100_000), threshold=st.sampled_from([0.51, 0.6, 0.75, 0.95]))
def test_counts_equal_the_naive_reference(seed, threshold):
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 5, (4, 4)), np.ones((3, 3), int))
    predicted = np.where(rng.random(truth.shape) < 0.15, rng.integers(0, 7, truth.shape), truth)
    row = segmentation_scores(truth, predicted, [threshold]).row(0, named=True)
    assert (row["tp"], row["fp"], row["fn"]) == naive(truth, predicted, threshold)


def test_numbers_do_not_matter_and_swapping_swaps_precision_and_recall():
    rng = np.random.default_rng(1)
    truth = np.kron(rng.integers(0, 4, (5, 5)), np.ones((4, 4), int))
    predicted = np.roll(truth, 1, axis=1)
    scores = segmentation_scores(truth, predicted)
    assert scores.equals(segmentation_scores(truth * 1_000_003, predicted * 77))
    swapped = segmentation_scores(predicted, truth)
    assert scores["precision"].equals(swapped["recall"])
    assert len(scores) == 10


def test_equal_images_score_one_and_empty_ones_nothing():
    labels = np.arange(9).reshape(3, 3)
    assert segmentation_scores(labels, labels)["ap"].to_list() == [1.0] * 10
    empty = segmentation_scores(np.zeros((3, 3), int), np.zeros((3, 3), int), (0.5,))
    assert empty["tp"][0] == 0
    assert empty["f1"].is_nan().all()
    missed = segmentation_scores(labels, np.zeros((3, 3), int), (0.5,)).row(0, named=True)
    assert (missed["tp"], missed["fp"], missed["fn"], missed["ap"]) == (0, 0, 8, 0)


def test_panoptic_quality_by_hand():
    """Pairs of IoU 0.75 and 1, one missed and one extra: 1.75 / (2 + 0.5 + 0.5)."""
    truth = np.zeros((4, 12), np.int32)
    truth[:, 0:4], truth[:, 5:8], truth[0, 10] = 1, 2, 3
    predicted = np.zeros_like(truth)
    predicted[:, 0:3], predicted[:, 5:8], predicted[3, 10] = 4, 2, 9
    row = segmentation_scores(truth, predicted, (0.5, 0.8))
    assert row["panoptic_quality"].to_list() == pytest.approx([1.75 / 3, 1 / 3])
    assert row["mean_matched_iou"].to_list() == pytest.approx([0.875, 1.0])
    assert row["panoptic_quality"].to_list() == pytest.approx(
        (row["mean_matched_iou"] * row["f1"]).to_list()
    )


def test_the_largest_overlaps_win_where_several_matchings_have_as_many_pairs():
    """Truth 1 and 2 against guesses 1 and 2: two pairs either way, of IoU 2/4 and 2/4 or less."""
    truth = np.array([[1, 1, 1, 2, 2, 2]])
    guess = np.array([[1, 1, 2, 1, 2, 2]])
    row = segmentation_scores(truth, guess, (0.1,)).row(0, named=True)
    assert (row["tp"], row["mean_matched_iou"]) == (2, 0.5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_average_precision_is_that_of_cellpose(seed):
    metrics = pytest.importorskip("cellpose.metrics")
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 6, (5, 5)), np.ones((4, 4), int))
    guess = np.where(rng.random(truth.shape) < 0.2, rng.integers(0, 8, truth.shape), truth)
    # Cellpose counts an object for every number up to the largest, so numbers run without gaps.
    truth, guess = (
        np.unique(side, return_inverse=True)[1].reshape(20, 20) for side in (truth, guess)
    )
    levels = [0.5, 0.75, 0.9]
    ap, tp, fp, fn = (values[0] for values in metrics.average_precision([truth], [guess], levels))
    scores = segmentation_scores(truth, guess, levels)
    assert scores["ap"].to_list() == pytest.approx(ap.tolist(), abs=1e-6)
    counts = scores.select("tp", "fp", "fn").to_numpy().T
    assert np.array_equal(counts, np.array([tp, fp, fn]))


def test_a_split_and_a_merge_are_counted_and_crumbs_are_not():
    truth = np.zeros((10, 40), int)
    truth[:, 0:10], truth[:, 12:18], truth[:, 18:24], truth[:, 26:36] = 1, 2, 3, 4
    guess = np.zeros_like(truth)
    guess[:, 0:5], guess[:, 5:10] = 1, 2  # 1 is split
    guess[:, 12:24] = 3  # 2 and 3 are merged
    guess[:, 26:36], guess[0, 26:34] = 4, 5  # 8 of 100 pixels: a crumb
    row = segmentation_scores(truth, guess, (0.5,)).row(0, named=True)
    assert (row["splits"], row["merges"]) == (1, 1)
    turned = segmentation_scores(guess, truth, (0.5,)).row(0, named=True)
    assert (turned["splits"], turned["merges"]) == (1, 1)
    same = segmentation_scores(truth, truth, (0.5,)).row(0, named=True)
    assert (same["splits"], same["merges"]) == (0, 0)


def test_each_object_matches_once_at_exact_halves_and_below():
    truth = np.array([[1, 1]])
    halves = np.array([[1, 2]])
    row = segmentation_scores(truth, halves, (0.5, 0.3)).rows()
    assert [r[1:4] for r in row] == [(1, 1, 0), (1, 1, 0)]


def test_lists_are_pooled():
    one = np.array([[1, 2, 0]])
    two = np.array([[1, 0, 0, 5]])
    pooled = segmentation_scores([one, two], [one, np.zeros_like(two)], (0.5,))
    assert pooled.select("tp", "fp", "fn").row(0) == (2, 0, 2)
    assert pooled.schema["tp"] == pl.Int64


def test_misfits_are_refused():
    labels = np.zeros((2, 2), int)
    with pytest.raises(MaskShapeError):
        segmentation_scores(labels, np.zeros((2, 3), int))
    for truth, predicted, levels in (
        (labels - 1, labels, (0.5,)),
        (labels, labels.astype(float), (0.5,)),
        (labels, labels, (0.0,)),
        ([labels], [labels, labels], (0.5,)),
        ([labels], labels, (0.5,)),
    ):
        with pytest.raises(ConfigurationError):
            segmentation_scores(truth, predicted, levels)
