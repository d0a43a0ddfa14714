import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake.errors import LeakageError, TrainingDataError, UnknownNameError
from phenolake.modeling.splits import check_leakage, split_by, split_hash, summarize_split


def cells(plates=2, wells=6, each=5):
    rows = [
        ("S", f"P{plate}", f"A{well:02d}", 1, number)
        for plate in range(plates)
        for well in range(1, wells + 1)
        for number in range(1, each + 1)
    ]
    names = ["Screen", "Plate", "Well", "Site", "ObjectNumber"]
    return pl.DataFrame(rows, schema=[f"Metadata_{name}" for name in names], orient="row")


@pytest.mark.parametrize(
    ("by", "held_out"), [("Metadata_Well", 2 * 5), ("Metadata_Plate", 30), ("cell", 12)]
)
def test_groups_are_held_out_whole(by, held_out):
    keys = cells()
    split = split_by(keys, by)
    assert (split == "validation").sum() == held_out
    check_leakage(keys, split, by)


def test_a_cell_split_leaks_between_wells():
    keys = cells()
    with pytest.raises(LeakageError, match="P0 A"):
        check_leakage(keys, split_by(keys, "cell"), "Metadata_Well")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.permutations(range(60)))
def test_a_split_does_not_depend_on_the_order_of_rows(seed, order):
    keys = cells()
    split = split_by(keys, seed=seed)
    shuffled = split_by(keys[order], seed=seed)
    np.testing.assert_array_equal(shuffled, split[order])
    assert split_hash(keys[order], shuffled) == split_hash(keys, split)


def test_seeds_give_different_splits_and_hashes():
    keys = cells()
    assert len({split_hash(keys, split_by(keys, seed=seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize("seed", range(4))
def test_the_wells_with_the_lowest_hashes_are_held_out(seed):
    # Stored models name their split by seed and hash, so the rule must not drift.
    def ticket(well):
        return hashlib.blake2b(f"{seed}\x1fS\x1fP0\x1f{well}".encode(), digest_size=8).digest()[
            ::-1
        ]

    keys = cells(plates=1, wells=10, each=2)
    held_out = keys["Metadata_Well"].to_numpy()[split_by(keys, seed=seed) == "validation"]
    wells = sorted(keys["Metadata_Well"].unique(), key=ticket)
    assert sorted(set(held_out)) == sorted(wells[:2])


def test_every_class_with_two_wells_is_in_both_parts():
    keys = cells(plates=1, wells=6)
    labels = np.where(keys["Metadata_Well"].is_in(["A01", "A02"]), "rare", "common")
    split = split_by(keys, labels=labels)
    for part in ("train", "validation"):
        assert set(labels[split == part]) == {"rare", "common"}


def test_plates_with_mixed_classes_are_divided_all_together():
    keys = cells(plates=2)
    labels = ["a", "b"] * 30
    split = split_by(keys, "Metadata_Plate", labels=labels)
    assert sorted(np.unique(split)) == ["train", "validation"]


def test_three_parts_can_be_made():
    split = split_by(cells(wells=10), fractions={"train": 0.6, "validation": 0.2, "test": 0.2})
    names, counts = np.unique(split, return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"train": 60, "validation": 20, "test": 20}


def test_frames_without_keys_are_split_by_row():
    split = split_by(pl.DataFrame({"row": range(10)}), "cell")
    assert (split == "validation").sum() == 2


def test_impossible_splits_are_refused():
    with pytest.raises(TrainingDataError, match="1 group"):
        split_by(cells(plates=1), "Metadata_Plate")
    with pytest.raises(TrainingDataError, match="fractions"):
        split_by(cells(), fractions={"train": 0.8, "validation": 0.3})
    with pytest.raises(UnknownNameError, match="Metadata_Well"):
        split_by(cells(), "Metadata_Wel")


def test_a_summary_counts_cells_and_refuses_leaks():
    keys = cells()
    summary = summarize_split(keys, split_by(keys), "Metadata_Well")
    assert summary.cells == {"train": 50, "validation": 10}
    with pytest.raises(LeakageError):
        summarize_split(keys, split_by(keys, "cell"), "Metadata_Plate")
