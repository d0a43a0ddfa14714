"""Novelty by distance and direction: hand-worked signs, scale, and a class that was left out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from phenolake.modeling.neighbour_novelty import (
    NeighbourNovelty,
    mean_rank,
    quantiles,
    read_signs,
    training_directions,
)
from phenolake.modeling.novelty import NoveltyReference
from phenolake.modeling.rehearsal import Rehearsal, judge_rehearsals

PLAIN = NoveltyReference(
    np.array([[3.0, 0], [-3, 0]], np.float32), np.eye(2, dtype=np.float32), np.zeros(1, np.float32)
)


def test_signs_of_a_worked_example():
    # Ten cells to the right, eleven to the left of a middle at the origin.
    directions = np.array([[1.0, 0]] * 10 + [[-1.0, 0]] * 11, np.float32)
    cells = np.array([[3.0, 0], [6, 0], [0, 4]])
    distance, angle = read_signs(PLAIN, np.zeros(2, np.float32), directions, cells).T
    assert distance == pytest.approx([0, 3, 5])
    # The far cell lies where known cells lie; the third looks at a right angle to all of them.
    assert angle == pytest.approx([-1, -1, 0])


def test_training_directions_have_length_one_and_are_at_most_5000(rng):
    middle, directions = training_directions(PLAIN, rng.normal(2, 1, (6000, 2)))
    assert middle == pytest.approx([2, 2], abs=0.1)
    assert directions.shape == (5000, 2)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1)


def test_a_batch_says_of_each_cell_what_the_cell_alone_says(rng):
    cells = rng.normal(size=(2100, 2)).astype(np.float32)
    novelty = NeighbourNovelty.fit(PLAIN, cells[:60], rng.normal(size=(50, 2)))
    scores = novelty.score(cells)
    assert scores[2050:] == pytest.approx([novelty.score(row[None])[0] for row in cells[2050:]])
    assert novelty.score(cells[:0]).shape == (0,)
    assert scores.min() >= 0
    assert scores.max() <= 1


def test_novelty_of_known_cells_is_evenly_spread(rng):
    embedding = np.concatenate([rng.normal(3, 1, (400, 4)), rng.normal(-3, 1, (400, 4))])
    codes = np.repeat([0, 1], 400)
    reference = NoveltyReference.fit(embedding[::2], codes[::2], embedding[1::2])
    middle, directions = training_directions(reference, embedding[::2])
    signs = read_signs(reference, middle, directions, embedding[1::2])
    scores = NeighbourNovelty.fit(reference, embedding[::2], signs).score(embedding[1::2])
    assert np.quantile(scores, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.02)


def test_cells_in_a_direction_of_their_own_are_found_though_no_farther_out(rng):
    centres = np.array([[4.0, 0, 0], [-4, 0, 0], [0, 4, 0]])
    codes = np.repeat([0, 1, 2], 200)
    known = centres[codes] + rng.normal(0, 1, (600, 3))
    new = np.array([0, 0, 2.5]) + rng.normal(0, 1, (200, 3))
    reference = NoveltyReference.fit(known[::2], codes[::2], known[1::2])
    middle, directions = training_directions(reference, known[::2])
    novelty = NeighbourNovelty.fit(
        reference, known[::2], read_signs(reference, middle, directions, known[1::2])
    )
    both = np.concatenate([known[1::2], new])
    is_new = np.arange(len(both)) >= 300
    assert roc_auc_score(is_new, novelty.score(both)) > 0.85


def test_the_mean_rank_of_the_median_cell_is_one_half(rng):
    signs = rng.normal(size=(801, 2))
    assert mean_rank(np.median(signs, axis=0)[None], quantiles(signs)) == pytest.approx(
        [0.5], abs=1e-3
    )


def test_the_threshold_lies_where_new_cells_stand_out_most():
    # Two of three new cells lie above 80 of 100 known ones, none above 90.
    known = np.arange(100) / 100
    told = np.concatenate([known, [0.855, 0.855, 0.105]])
    found = judge_rehearsals([Rehearsal("a", told, np.arange(103) >= 100)])
    assert found.unknown_above == pytest.approx(0.85, abs=0.011)
    assert found.classes.row(0) == ("a", 3, pytest.approx((0.86 + 0.86 + 0.11) / 3))
