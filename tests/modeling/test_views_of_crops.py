"""Crops seen in two ways: the encoder's features, joined probabilities, joined novelty, stored files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from phenolake.errors import ModelFileError, TrainingDataError
from phenolake.modeling import predict, read_model, save_model, train
from phenolake.modeling.classical.linear import discriminant_axes
from phenolake.modeling.ensemble import Ensemble
from phenolake.modeling.joint_novelty import JointNovelty
from phenolake.modeling.measured_crops import MeasuredCrops, views_of_features
from phenolake.modeling.neighbour_novelty import NeighbourNovelty, read_signs, training_directions
from phenolake.modeling.novelty import NoveltyReference
from phenolake.modeling.nucleus_encoder import NucleusEncoder


@pytest.fixture(scope="module")
def encoder():
    return NucleusEncoder.shipped()


@pytest.fixture(scope="module")
def crops():
    """60 crops (n, 1, 20, 20): disks, bars and rings on a noisy ground, and their classes."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:20, :20] - 9.5
    radius = np.hypot(y, x)
    kinds = {
        "bar": (np.abs(y) < 2.5) & (np.abs(x) < 8),
        "disk": radius < 6,
        "ring": (radius < 8) & (radius > 4),
    }
    labels = list(kinds) * 20
    images = [60 * kinds[name] + rng.normal(30, 6, (20, 20)) for name in labels]
    return np.stack(images)[:, None].clip(0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def trained(crops):
    keys = pl.DataFrame({"plate": np.repeat(["P1", "P2", "P3"], 20)})
    return train(*crops, keys=keys, by="plate", method="lda", folds=2, class_balanced=True).model


def matrix(frame: pl.DataFrame) -> np.ndarray:
    return frame.to_numpy()


def test_the_encoder_sees_the_same_in_a_turned_mirrored_or_brighter_crop(encoder, crops):
    plain = matrix(encoder.describe(crops[0]))
    turned = np.rot90(crops[0], 1, (2, 3))
    brighter = crops[0] * 2 + np.uint8(10)  # below 255: gain and offset only
    for other in (turned, crops[0][..., ::-1], brighter):
        # Single precision, summed in another order.
        assert matrix(encoder.describe(other)) == pytest.approx(plain, abs=2e-3)
    assert np.abs(plain[0] - plain[1]).max() > 0.1


def test_the_encoder_says_of_each_crop_what_it_says_of_the_crop_alone(encoder, crops):
    together = matrix(encoder.describe(crops[0][:5]))
    alone = np.concatenate([matrix(encoder.describe(crop[None])) for crop in crops[0][:5]])
    assert together == pytest.approx(alone, abs=1e-4)


def test_crops_of_an_odd_size_two_channels_or_none_have_their_columns(encoder):
    two = encoder.describe(np.zeros((2, 2, 17, 17), np.uint8), ["DNA", "Actin"])
    assert two.shape == (2, 2 * sum(encoder.widths))
    assert {"Encoder_Level0_DNA_0", "Encoder_Level4_Actin_127"} <= set(two.columns)
    assert encoder.describe(np.zeros((0, 1, 16, 16), np.uint8)).shape == (0, sum(encoder.widths))


def test_weights_that_do_not_fit_the_encoder_are_refused(encoder, crops):
    damaged = replace(encoder, widths=(8, 8))
    with pytest.raises(ModelFileError, match="do not fit its widths"):
        damaged.describe(crops[0])


def test_features_are_divided_into_views_by_their_names():
    frame = pl.DataFrame({"Cell_Area": [1.0], "Encoder_Level0_DNA_0": [2.0]})
    assert views_of_features(frame) == {
        "measured": ["Cell_Area"],
        "encoder": ["Encoder_Level0_DNA_0"],
    }
    assert list(views_of_features(frame[["Cell_Area"]])) == ["measured"]


def test_probabilities_of_views_are_multiplied(trained):
    members = trained.model.members
    votes = np.array([[[0.8, 0.1, 0.1]], [[0.2, 0.4, 0.4]]])
    joined = Ensemble(members, members[0].novelty, temperature=0.5, views=("one", "other"))
    product = np.array([0.16, 0.04, 0.04])
    assert joined.pooled(votes)[0] == pytest.approx(product / product.sum())
    mean = Ensemble(members, members[0].novelty)
    assert mean.pooled(votes)[0] == pytest.approx([0.5, 0.25, 0.25])
    with pytest.raises(TrainingDataError, match="2 members, but 1 views"):
        replace(joined, views=("one",))


def test_a_cell_that_is_new_in_one_embedding_only_is_found(rng):
    codes = np.repeat([0, 1, 2], 200)
    centres = np.eye(3) * 5
    known = [centres[codes] + rng.normal(size=(600, 3)) for _ in range(2)]
    new = [centres[codes[:200]] + rng.normal(size=(200, 3)), rng.normal(1.7, 0.5, (200, 3))]
    references, signs = [], []
    for cells in known:
        references.append(NoveltyReference.fit(cells[::2], codes[::2], cells[1::2]))
        around = training_directions(references[-1], cells[::2])
        signs.append(read_signs(references[-1], *around, cells[1::2]))
    joint = JointNovelty.fit(
        references, [cells[::2] for cells in known], np.concatenate(signs, axis=1)
    )
    scores = joint.score(np.concatenate([known[0][1::2], known[1][1::2]], axis=1))
    assert np.quantile(scores, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.02)
    found = joint.score(np.concatenate(new, axis=1))
    is_new = np.repeat([0, 1], [len(scores), len(found)])
    assert roc_auc_score(is_new, np.concatenate([scores, found])) > 0.8


def test_axes_of_novelty_lie_within_the_principal_components(rng):
    codes = np.repeat([0, 1, 2], 50)
    values = np.eye(3)[codes] @ rng.normal(size=(3, 6)) + rng.normal(size=(150, 6))
    # The last feature tells one class from the others, but hardly varies.
    values[:, 5] = np.array([0, 0.3, 0])[codes] + rng.normal(0, 0.05, 150)
    assert np.abs(discriminant_axes(values, codes)[5]).max() > 0.5
    assert np.abs(discriminant_axes(values, codes, 5)[5]).max() < 0.1


def test_a_stored_model_keeps_its_encoder_and_its_joint_novelty(
    trained, crops, tmp_path, monkeypatch
):
    save_model(trained, tmp_path)
    monkeypatch.setattr(NucleusEncoder, "shipped", None)
    again = read_model(tmp_path)
    assert isinstance(again.novelty, JointNovelty)
    assert again.model.views == ("measured", "encoder")
    assert predict(crops[0], again, unknown=True).equals(predict(crops[0], trained, unknown=True))


def test_a_model_stored_before_there_were_views_is_still_read(trained, crops, tmp_path):
    first = trained.model.members[0]
    novelty = trained.novelty.parts[0]
    assert isinstance(novelty, NeighbourNovelty)
    old = MeasuredCrops(Ensemble((first,), novelty, unknown_above=0.9), trained.shape)
    save_model(old, tmp_path)
    path = tmp_path / "model.json"
    told = json.loads(path.read_text())
    del told["encoder"], told["model"]["views"]
    path.write_text(json.dumps(told))
    again = read_model(tmp_path)
    assert predict(crops[0], again).equals(predict(crops[0], old))
    assert predict(crops[0][:0], again).height == 0


def test_no_crops_have_no_predictions(trained, crops):
    assert predict(crops[0][:0], trained).columns == predict(crops[0][:1], trained).columns
