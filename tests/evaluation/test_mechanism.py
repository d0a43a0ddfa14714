"""Mechanism accuracy: worked by hand; who may be a neighbour; who is scored."""

import math

import polars as pl
import pytest

from phenolake import evaluation
from phenolake.errors import UnknownNameError


def treatments(*rows):
    names = ["Metadata_Perturbation", "Metadata_MOA", "Metadata_Batch", "x", "y"]
    return pl.DataFrame(rows, schema=names, orient="row")


FOUR = treatments(
    ("a1", "A", "1", 1.0, 0.0),
    ("a2", "A", "2", 1.0, 0.1),
    ("b1", "B", "1", 0.0, 1.0),
    ("b2", "B", "1", 1.0, 0.2),
)


def test_nsc_by_hand():
    result = evaluation.moa_accuracy(FOUR)
    # a1 -> a2, a2 -> b2 (nearer than a1 by a hair), b1 -> b2, b2 -> a2
    assert result.table["neighbour"].to_list() == ["a2", "b2", "b2", "a2"]
    assert result.table["correct"].to_list() == [True, False, True, False]
    assert (result.accuracy, result.n) == (0.5, 4)


def test_nscb_leaves_out_profiles_without_a_partner_elsewhere():
    result = evaluation.moa_accuracy(FOUR, "NSCB")
    assert result.table["neighbour"].to_list() == ["a2", "b2", "a2", "a2"]
    assert result.table["scored"].to_list() == [True, True, False, False]
    assert (result.accuracy, result.n) == (0.5, 2)


def test_doses_of_the_same_compound_are_no_neighbours():
    frame = treatments(
        ("a1", "A", "1", 1.0, 0.0), ("a1", "A", "1", 1.0, 0.0), ("b1", "B", "1", 1.0, 0.5)
    )
    result = evaluation.moa_accuracy(frame)
    assert result.n == 0
    assert math.isnan(result.accuracy)
    assert result.table["neighbour"].to_list() == ["b1", "b1", "a1"]


def test_single_compound_has_no_neighbour():
    table = evaluation.moa_accuracy(FOUR[:1]).table
    assert table["neighbour"].to_list() == [None]
    assert table["predicted"].to_list() == [None]


def test_profiles_without_mechanism_are_left_out():
    result = evaluation.moa_accuracy(
        FOUR.with_columns(Metadata_MOA=pl.Series(["A", "A", None, "B"]))
    )
    assert result.table.height == 3


def test_a_gap_is_compared_on_what_both_have():
    frame = FOUR.with_columns(z=pl.Series([1.0, float("nan"), None, 1.0]))
    table = evaluation.moa_accuracy(frame).table
    assert table["neighbour"][1] == "b2"
    assert table["similarity"][0] == pytest.approx(1 / math.hypot(1, 0.1))


def test_length_of_a_profile_does_not_matter():
    scaled = FOUR.with_columns(pl.col("x", "y") * pl.Series([1.0, 5.0, 0.1, 1e6]))
    assert (
        evaluation.moa_accuracy(scaled)
        .table["correct"]
        .equals(evaluation.moa_accuracy(FOUR).table["correct"])
    )


def test_unknown_scheme_and_column_are_named():
    with pytest.raises(UnknownNameError, match="NSCB"):
        evaluation.moa_accuracy(FOUR, "NSBC")
    with pytest.raises(UnknownNameError, match="Metadata_Mechanism"):
        evaluation.moa_accuracy(FOUR, moa="Metadata_Mechanism")
