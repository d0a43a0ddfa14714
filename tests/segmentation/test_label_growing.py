"""The kernels against slow references, and the small tools on label images."""

from __future__ import annotations

import heapq

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from phenolake.segmentation.flooding import grow_seeds, split_at_necks
from phenolake.segmentation.foreground import estimate_background
from phenolake.segmentation.label_images import (
    areas,
    fill_holes,
    keep,
    largest_pieces,
    object_means,
    plateau_levels,
    renumber,
)
from phenolake.segmentation.pairing import join_cells, overlaps
from phenolake.segmentation.thresholds import otsu


def test_two_hills_stay_apart_only_below_the_neck():
    relief = np.array([[1, 4, 3, 5, 1]], np.float32)
    mask = np.ones(relief.shape, bool)
    assert split_at_necks(relief, mask, neck=0.8, tolerance=0).max() == 2
    assert split_at_necks(relief, mask, neck=0.7, tolerance=0).max() == 1
    assert split_at_necks(relief, mask, neck=0.8, tolerance=1).max() == 1
    mask[0, 2] = False
    assert np.unique(split_at_necks(relief, mask, 0.7, 0)).size == 3


def test_a_plateau_is_one_hill():
    mask = np.zeros((9, 9), bool)
    mask[1:8, 1:8] = True
    labels = split_at_necks(np.ones((9, 9), np.float32), mask, 0.9, 0)
    assert np.array_equal(labels > 0, mask)
    assert np.unique(labels).size == 2


def slow_costs(seeds, barrier, allowed):
    """Cost of the cheapest way from any seed, by a plain heap over integer step prices."""
    cost = np.full(seeds.shape, np.inf)
    heap = [(0, y, x) for y, x in np.argwhere(seeds > 0)]
    cost[seeds > 0] = 0
    while heap:
        now, y, x = heapq.heappop(heap)
        if now > cost[y, x]:
            continue
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                r, c = y + dy, x + dx
                if not (0 <= r < seeds.shape[0] and 0 <= c < seeds.shape[1]) or not allowed[r, c]:
                    continue
                step = np.float32(np.sqrt(2)) if dy and dx else np.float32(1)
                price = step * (1 + 0.5 * (barrier[y, x] + barrier[r, c]))
                total = now + max(1, round(price * 8))
                if total < cost[r, c] and seeds[r, c] == 0:
                    cost[r, c] = total
                    heapq.heappush(heap, (total, r, c))
    return cost


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_seeds_grow_to_the_cheapest_pixels(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 14)), int(rng.integers(1, 14)))
    allowed = rng.random(shape) < 0.8
    barrier = (rng.random(shape) * 12).astype(np.float32)
    seeds = np.where(rng.random(shape) < 0.08, rng.integers(1, 4, shape), 0).astype(np.int32)
    grown = grow_seeds(seeds, barrier, allowed, 1e6)
    each = {
        n: slow_costs(np.where(seeds == n, n, 0), barrier, allowed & ((seeds == 0) | (seeds == n)))
        for n in np.unique(seeds[seeds > 0])
    }
    best = slow_costs(seeds, barrier, allowed)
    assert np.array_equal(grown > 0, np.isfinite(best))
    for y, x in np.argwhere(grown > 0):
        assert each[grown[y, x]][y, x] == best[y, x]


def test_growth_stops_at_its_reach_and_at_walls():
    seeds = np.zeros((1, 20), np.int32)
    seeds[0, 3] = 7
    flat = np.zeros(seeds.shape, np.float32)
    allowed = np.ones(seeds.shape, bool)
    assert np.flatnonzero(grow_seeds(seeds, flat, allowed, 2)[0]).tolist() == [1, 2, 3, 4, 5]
    allowed[0, 5] = False
    assert np.flatnonzero(grow_seeds(seeds, flat, allowed, 99)[0]).tolist() == [0, 1, 2, 3, 4]


def test_fronts_meet_at_the_barrier():
    seeds = np.zeros((1, 21), np.int32)
    seeds[0, 0], seeds[0, 20] = 1, 2
    barrier = np.zeros(seeds.shape, np.float32)
    barrier[0, 4] = 25
    grown = grow_seeds(seeds, barrier, np.ones(seeds.shape, bool), 100)
    assert np.flatnonzero(grown[0] == 1).max() in (3, 4)


def test_labels_are_renumbered_in_raster_order():
    labels = np.array([[0, 9, 9], [4, 0, 9], [4, 0, 2]], np.int32)
    assert renumber(labels).tolist() == [[0, 1, 1], [2, 0, 1], [2, 0, 3]]
    assert not renumber(np.zeros((2, 2), np.int32)).any()
    assert keep(labels, areas(labels) > 1).max() == 9


def test_only_small_holes_inside_are_filled():
    mask = np.ones((9, 9), bool)
    mask[2, 2] = mask[5:8, 5:8] = mask[0, 4] = False
    filled = fill_holes(mask, 4)
    assert filled[2, 2]
    assert not filled[6, 6]
    assert not filled[0, 4]


def test_the_largest_piece_of_an_object_stays():
    labels = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [2, 2, 0, 2]], np.int32)
    assert largest_pieces(labels).tolist() == [[0, 0, 1, 1], [0, 0, 0, 0], [2, 2, 0, 0]]


def test_means_and_plateaus_by_hand():
    labels = np.array([[1, 1, 1, 1], [2, 2, 0, 0]], np.int32)
    image = np.array([[1, 1, 5, 9], [3, 3, 100, 100]], np.float32)
    assert object_means(labels, image).tolist() == [100, 4, 3]
    assert plateau_levels(labels, image)[1:].tolist() == [7, 3]


def test_otsu_parts_two_values():
    assert 1 <= otsu(np.array([1, 1, 1, 9, 9], np.float32)) < 9


def test_background_follows_a_ramp_under_sparse_objects():
    rows = np.linspace(100, 300, 400, dtype=np.float32)
    plane = np.repeat(rows[:, None], 300, axis=1)
    objects = np.zeros(plane.shape, np.float32)
    objects[::50, ::50] = 1
    objects = ndimage.binary_dilation(objects, iterations=8)
    found = estimate_background(np.where(objects, plane + 900, plane))
    assert found.shape == plane.shape
    assert np.abs(found - plane).max() < 40


def test_nuclei_take_the_body_that_holds_them():
    nuclei = np.zeros((30, 60), np.int32)
    nuclei[10:16, 5:11], nuclei[10:16, 20:26], nuclei[10:16, 45:51] = 1, 2, 3
    bodies = np.zeros_like(nuclei)
    bodies[5:25, 2:32] = 8  # holds two nuclei
    bodies[0:4, 35:50] = 9  # holds none
    assert overlaps(nuclei, bodies).sum() == 72
    cells = join_cells(nuclei, bodies, 6)
    assert np.array_equal(np.unique(cells), [0, 1, 2, 3])
    assert np.array_equal(cells[nuclei > 0], nuclei[nuclei > 0])
    assert np.array_equal((cells == 1) | (cells == 2), bodies == 8)
    assert not cells[bodies == 9].any()
    assert (cells == 3).sum() > (nuclei == 3).sum()
