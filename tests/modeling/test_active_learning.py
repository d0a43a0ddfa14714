"""Which cells to label next, the labels that come back, and what members disagree on."""

import numpy as np
import polars as pl
import pytest

from phenolake.errors import TrainingDataError, UnknownNameError
from phenolake.modeling.active_learning import labelling_queue, read_annotations
from phenolake.modeling.uncertainty import ensemble_uncertainty

KEYS = pl.DataFrame({"Metadata_Well": ["A01", "A01", "B02"], "Metadata_ObjectNumber": [1, 2, 1]})
ONE = np.array([[0.9, 0.1, 0.0], [0.5, 0.3, 0.2], [0.45, 0.45, 0.1]])
OTHER = np.array([[0.8, 0.2, 0.0], [0.2, 0.6, 0.2], [0.46, 0.44, 0.1]])


@pytest.mark.parametrize(
    ("strategy", "cells"),
    [("least_confident", [1, 2, 0]), ("margin", [2, 1, 0]), ("vote_entropy", [1, 0, 2])],
)
def test_queues_of_a_worked_example(strategy, cells):
    queue = labelling_queue(KEYS, np.stack([ONE, OTHER]), ("a", "b", "c"), strategy)
    assert queue.select(KEYS.columns).equals(KEYS[cells])
    assert queue["rank"].to_list() == [1, 2, 3]
    assert queue["priority"].is_sorted(descending=True)


def test_a_queue_can_be_short_and_wrong_requests_are_one_sentence():
    assert labelling_queue(KEYS, ONE, ("a", "b", "c"), count=1).height == 1
    with pytest.raises(TrainingDataError, match="compares members"):
        labelling_queue(KEYS, ONE, ("a", "b", "c"), "vote_entropy")
    with pytest.raises(UnknownNameError, match="margin"):
        labelling_queue(KEYS, ONE, ("a", "b", "c"), "margins")
    with pytest.raises(TrainingDataError, match="3 cells and 2 classes"):
        labelling_queue(KEYS, ONE, ("a", "b"))


def test_labels_come_back_with_the_types_of_the_keys(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("Metadata_Well,Metadata_ObjectNumber,label\nA01,2, dead \nB02,1,\n")
    labels = read_annotations(path, KEYS.columns, KEYS)
    assert labels.rows() == [("A01", 2, "dead")]
    assert labels.schema["Metadata_ObjectNumber"] == pl.Int64


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Metadata_Well,label\nA01,x\n", "no column Metadata_ObjectNumber"),
        ("Metadata_Well,Metadata_ObjectNumber,label\nA01,1,\n", "no row has a label"),
        ("Metadata_Well,Metadata_ObjectNumber,label\nA01,1,x\nA01,1,y\n", "two labels for A01 1"),
        ("Metadata_Well,Metadata_ObjectNumber,label\nH12,1,x\n", "does not exist, such as H12 1"),
    ],
)
def test_labels_that_can_not_be_used_are_named(tmp_path, text, reason):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(TrainingDataError, match=reason):
        read_annotations(path, KEYS.columns, KEYS)


def test_members_that_agree_have_no_mutual_information():
    assert ensemble_uncertainty(np.stack([ONE, ONE]))["mutual_information"].max() < 1e-6
    sure = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    row = ensemble_uncertainty(sure).row(0)
    assert row == pytest.approx((np.log(2), 0, np.log(2)), abs=1e-6)
