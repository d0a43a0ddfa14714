"""Data and files that can't make a model: one clear sentence each, by every way to train."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from phenolake.errors import ModelFileError, TrainingDataError
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
    assert "1 pixels are NaN" in sentence_of(raised)


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
