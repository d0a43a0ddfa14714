"""Data and files that can't make a model: one clear sentence each, by every way to train."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from phenolake.cli.classify import train_classifier
from phenolake.errors import ConfigurationError, ModelFileError, TrainingDataError
from phenolake.modeling import read_model, save_model, train, train_network

ONE = ["a"] * 160
LONELY = ["a"] * 159 + ["b"]
WAYS = [{"method": "lda"}, {"method": "svm", "costs": [0.1, 1.0]}, {"method": "lda", "folds": 3}]


def sentence_of(raised) -> str:
    text = str(raised.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("labels", "reason"), [(ONE, "only one class"), (LONELY, "class b")])
def test_one_class_or_one_cell_of_a_class(way, labels, reason):
    frame = pl.DataFrame(np.random.default_rng(0).normal(size=(160, 3)), schema=["x", "y", "z"])
    with pytest.raises(TrainingDataError) as raised:
        train(frame, labels, **way)
    assert reason in sentence_of(raised)


@pytest.mark.parametrize("way", [{"method": "lda", "folds": 3}, {"method": "network", "epochs": 1}])
def test_pixels_that_are_no_numbers(disks, way):
    crops = disks[0] / 255
    crops[3, 0, 2, 2] = np.nan
    with pytest.raises(TrainingDataError) as raised:
        train(crops, disks[1], **way)
    assert "1 pixels are NaN or infinite, the first in crop 3" in sentence_of(raised)


@pytest.mark.parametrize("name", ["a/b", "a:b", "a@b", "..", " "])
def test_a_name_that_no_model_can_have_is_refused_before_the_training(disks, name):
    # One class could not be trained on either: the name is looked at first.
    with pytest.raises(ConfigurationError) as raised:
        train(disks[0], ONE, method="lda", name=name)
    assert f"{name!r} is no name for a model" in sentence_of(raised)


@pytest.mark.parametrize("value", [0, 120])
def test_crops_that_are_all_empty(value):
    labels = ["a", "b", "c"] * 8
    with pytest.raises(TrainingDataError) as raised:
        train(np.full((24, 16, 16), value, np.uint8), labels, method="lda", folds=2)
    assert "no feature differs between the classes" in sentence_of(raised)


def test_data_labels_and_keys_that_differ_in_number(disks):
    crops, labels = disks
    with pytest.raises(TrainingDataError) as raised:
        train(crops, labels[:-1], method="lda", folds=2)
    said = sentence_of(raised)
    assert f"{len(crops)} cells, but {len(crops) - 1} labels and {len(crops)} rows" in said
    keys = pl.DataFrame({"plate": ["P"] * 3})
    with pytest.raises(TrainingDataError, match="3 rows of keys"):
        train(crops, labels, keys=keys, by="plate", method="lda")


def test_a_list_is_no_array_of_crops():
    with pytest.raises(TrainingDataError) as raised:
        train([[[0, 1], [1, 0]]] * 4, ["a", "b"] * 2, method="lda")
    assert "an array of crops or a frame of features, got list" in sentence_of(raised)


def test_a_folder_where_cells_lack_the_column_that_is_held_out(tmp_path):
    np.savez(tmp_path / "crops.npz", images=np.zeros((4, 16, 16), np.uint8))
    (tmp_path / "index.csv").write_text('label,plate\na,P1\nb,""\na,\nb,P2\n')
    with pytest.raises(TrainingDataError) as raised:
        train_classifier(tmp_path, "cells", "label", "plate", "lda", 2, 0)
    assert "column 'plate' is empty for 2 of 4 cells" in sentence_of(raised)


def test_weights_of_another_architecture(disks, parts, tiny, tmp_path):
    options = {"model": tiny, "epochs": 1, "device": "cpu"}
    network = train_network(*disks, parts, **options)
    other = replace(network, architecture=replace(tiny, widths=(6, 8)))
    save_model(other, tmp_path)
    with pytest.raises(ModelFileError) as raised:
        read_model(tmp_path).predict_proba(disks[0])
    assert "do not fit its architecture" in sentence_of(raised)
    wider = replace(tiny, widths=(6, 8))
    with pytest.raises(ModelFileError) as raised:
        train_network(
            *disks, parts, **{**options, "model": wider}, start_from=tmp_path / "model.safetensors"
        )
    assert "has shape" in sentence_of(raised)
