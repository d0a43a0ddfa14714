"""Objects: one number over compartments, parents, flags with reasons, rules for profiles."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from phenolake.errors import MaskShapeError
from phenolake.segmentation import segment
from phenolake.segmentation.object_flags import ObjectLimits, excluded_cells, flag_objects
from phenolake.segmentation.objects import describe_objects
from phenolake.segmentation.pairing import join_compartments, parents_of
from segmentation.fields import disc, field

ROLES = {"DNA": 0, "GFP": 1}


def boxes(shape, *placed):
    """Labels of rectangles, each (label, top, bottom, left, right)."""
    labels = np.zeros(shape, np.int32)
    for label, top, bottom, left, right in placed:
        labels[top:bottom, left:right] = label
    return labels


def test_a_child_belongs_to_the_parent_that_holds_most_of_it():
    children = boxes((4, 20), (1, 0, 4, 0, 4), (5, 0, 4, 6, 10), (7, 0, 4, 12, 16))
    parents = boxes((4, 20), (3, 0, 4, 0, 7), (2, 0, 4, 7, 12), (9, 0, 1, 12, 16))
    home = parents_of(children, parents)
    assert home.tolist() == [0, 3, 0, 0, 0, 2, 0, 0]  # of 7, only a quarter lies in 9


def test_compartments_found_apart_get_one_number_and_orphans_are_named():
    nuclei = boxes((10, 60), (4, 2, 5, 2, 5), (9, 2, 5, 22, 25), (2, 2, 5, 50, 53))
    cells = boxes((10, 60), (8, 0, 9, 20, 30), (1, 0, 9, 0, 10), (3, 0, 9, 34, 44))
    joined = join_compartments(nuclei, cells)
    assert joined.nuclei_without_cell == (3,)
    assert joined.cells_without_nucleus == (4,)
    assert joined.cells_with_nuclei == ()
    masks = joined.masks
    assert masks["Nuclei"][3, 3] == masks["Cells"][3, 3] == 1
    assert masks["Nuclei"][3, 23] == masks["Cells"][3, 23] == 2
    assert masks["Nuclei"][3, 51] == 3
    assert masks["Cells"][3, 40] == 4
    assert not masks["Cytoplasm"][masks["Nuclei"] > 0].any()


def test_two_touching_nuclei_of_one_cell_share_its_number_and_stay_two():
    nuclei = boxes((12, 30), (1, 4, 8, 4, 8), (2, 4, 8, 8, 12), (3, 4, 8, 22, 26))
    cells = boxes((12, 30), (7, 1, 11, 1, 15), (5, 1, 11, 18, 29))
    joined = join_compartments(nuclei, cells)
    assert joined.cells_with_nuclei == (1,)
    rows = describe_objects(joined.masks)
    found = rows.filter(pl.col("compartment") == "Nuclei")
    assert found.select("Metadata_ObjectNumber", "part", "parent_number").rows() == [
        (1, 1, 1),
        (1, 2, 1),
        (2, 1, 2),
    ]
    cells_rows = rows.filter(pl.col("compartment") == "Cells")
    assert cells_rows["nuclei_count"].to_list() == [2, 1]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_joining_adds_and_drops_no_object(seed):
    rng = np.random.default_rng(seed)
    nuclei = np.kron(rng.integers(0, 7, (6, 6)), np.ones((3, 3), int)).astype(np.int32)
    nuclei[rng.random(nuclei.shape) < 0.3] = 0
    cells = np.kron(rng.integers(0, 5, (4, 4)), np.ones((5, 5), int))[:18, :18].astype(np.int32)
    joined = join_compartments(nuclei, cells)
    home = parents_of(nuclei, cells)
    assert np.array_equal(joined.masks["Cells"] > 0, cells > 0)
    assert np.all((joined.masks["Nuclei"] > 0) <= (nuclei > 0))
    for number in np.unique(nuclei[nuclei > 0]):
        names = np.unique(joined.masks["Nuclei"][nuclei == number])
        assert names[names > 0].size <= 1
        if home[number]:
            inside = joined.masks["Cells"][cells == home[number]]
            assert set(names[names > 0]) <= set(inside.tolist())
    orphans = np.count_nonzero(home[np.unique(nuclei[nuclei > 0])] == 0)
    assert len(joined.nuclei_without_cell) == orphans
    everything = np.unique(np.concatenate([m.ravel() for m in joined.masks.values()]))
    assert np.array_equal(everything, np.arange(everything.size))


def test_the_joined_masks_of_segment_are_left_as_they_are():
    image, _, _ = field()
    masks = segment(image, ROLES, "classical")
    joined = join_compartments(masks["Nuclei"], masks["Cells"])
    assert np.array_equal(joined.masks["Nuclei"], masks["Nuclei"])
    assert np.array_equal(joined.masks["Cells"], masks["Cells"])
    assert joined.nuclei_without_cell == joined.cells_without_nucleus == ()


def test_size_place_and_shape_are_those_of_the_pixels():
    labels = boxes((20, 30), (1, 2, 6, 3, 9))
    labels[disc(labels.shape, 12, 20, 6)] = 2
    rows = describe_objects({"Nuclei": labels})
    assert rows["area"].to_list() == [24, int(np.count_nonzero(labels == 2))]
    assert rows.select("center_y", "center_x").row(0) == (3.5, 5.5)
    assert rows["ellipse_fill"][1] == pytest.approx(1, abs=0.02)
    assert rows["parent_number"].is_null().all()


def flagged_field(**changes):
    """24 equal round nuclei, and what a test changes; returns flags by object number."""
    shape = (240, 340)
    labels = np.zeros(shape, np.int32)
    for number in range(24):
        y, x = 30 + 55 * (number // 6), 30 + 55 * (number % 6)
        labels[disc(shape, y, x, changes.get("radius", {}).get(number + 1, 8))] = number + 1
    for number, region in changes.get("shape", {}).items():
        labels[labels == number] = 0
        labels[region(shape)] = number
    image = np.where(labels > 0, 1000.0, 0.0)
    for number, gain in changes.get("gain", {}).items():
        image[labels == number] *= gain
    sharp = ndimage.gaussian_filter(image, 1)
    for number in changes.get("blur", ()):
        near = ndimage.binary_dilation(labels == number, iterations=14)
        sharp = np.where(near, ndimage.gaussian_filter(image, 5), sharp)
    rows = flag_objects(describe_objects({"Nuclei": labels}, {"Nuclei": sharp + 100}))
    return {row["Metadata_ObjectNumber"]: row for row in rows.iter_rows(named=True)}


def bar(shape):
    """A cross with thin arms, which fills little of its ellipse."""
    region = np.zeros(shape, bool)
    region[20:40, 28:31], region[28:31, 20:40] = True, True
    return region


def test_equal_round_nuclei_have_no_reason():
    assert {row["reason"] for row in flagged_field().values()} == {None}


def test_each_flag_names_its_reason_and_hits_no_other_object():
    rows = flagged_field(radius={2: 3, 3: 20, 7: 5}, shape={1: bar}, gain={1: 9, 7: 9}, blur=[10])
    reasons = {number: row["reason"] for number, row in rows.items() if row["reason"]}
    assert reasons == {
        1: "debris",  # irregular and bright
        2: "too_small",
        3: "too_large",
        7: "debris",  # small and bright
        10: "out_of_focus",
    }
    assert not rows[1]["is_usable"]
    assert rows[3]["is_usable"]


def test_a_cut_nucleus_touches_the_border():
    labels = np.zeros((40, 40), np.int32)
    labels[disc(labels.shape, 1, 20, 6)], labels[disc(labels.shape, 20, 20, 6)] = 1, 2
    rows = flag_objects(describe_objects({"Nuclei": labels}))
    assert rows["reason"].to_list() == ["border", None]
    assert rows["is_usable"].all()
    strict = ObjectLimits(exclude=("border",))
    kept = flag_objects(describe_objects({"Nuclei": labels}), strict)
    assert kept["is_usable"].to_list() == [False, True]
    assert kept["reason"].to_list() == ["border", None]


def test_a_cell_is_left_out_when_no_usable_nucleus_is_left():
    nuclei = boxes((30, 60), (1, 0, 8, 4, 12), (1, 14, 22, 4, 12), (2, 0, 8, 40, 48))
    cells = boxes((30, 60), (1, 0, 28, 1, 20), (2, 0, 28, 34, 56))
    described = describe_objects({"Nuclei": nuclei, "Cells": cells})
    rows = flag_objects(described, ObjectLimits(exclude=("border",))).with_columns(
        pl.lit("A01").alias("Metadata_Well"), pl.lit(1, pl.Int32).alias("Metadata_Site")
    )
    assert excluded_cells(rows).rows() == [("A01", 1, 2)]
    assert rows.filter(pl.col("compartment") == "Cells")["is_usable"].all()


def test_orphans_are_flagged():
    nuclei = boxes((20, 40), (1, 5, 9, 5, 9), (2, 5, 9, 25, 29))
    cells = boxes((20, 40), (1, 3, 12, 3, 12), (3, 14, 18, 3, 9))
    rows = flag_objects(describe_objects({"Nuclei": nuclei, "Cells": cells}))
    orphans = rows.filter("is_orphan").select("compartment", "Metadata_ObjectNumber").rows()
    assert orphans == [("Nuclei", 2), ("Cells", 3)]


def test_empty_masks_have_no_objects_and_odd_shapes_are_refused():
    empty = np.zeros((8, 9), np.int32)
    rows = flag_objects(describe_objects({"Nuclei": empty, "Cells": empty}, {"Nuclei": empty}))
    assert rows.is_empty()
    joined = join_compartments(empty, empty)
    assert not joined.masks["Cells"].any()
    with pytest.raises(MaskShapeError):
        describe_objects({"Nuclei": empty, "Cells": empty[:4]})
