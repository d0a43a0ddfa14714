from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier

from phenolake.errors import ModelFileError, TrainingDataError
from phenolake.modeling import predict, split_by, train_forest
from phenolake.modeling.classical.feature_matrix import uncorrelated


@pytest.fixture(scope="module")
def split(blobs):
    frame, labels = blobs
    return split_by(frame, labels=labels)


@pytest.fixture(scope="module")
def forest(blobs, split):
    return train_forest(*blobs, split, trees=20, seed=3)


def test_probabilities_equal_those_of_scikit_learn(blobs, split, forest):
    frame, labels = blobs
    values = frame.select("^Nuclei_.*$").to_numpy().astype(np.float32)
    reference = RandomForestClassifier(20, random_state=3)
    reference.fit(values[split == "train"], np.array(labels)[split == "train"])
    np.testing.assert_array_equal(forest.predict_proba(frame), reference.predict_proba(values))
    assert forest.classes == tuple(reference.classes_)


def test_values_on_a_threshold_go_the_way_they_go_in_scikit_learn(rng):
    # Small integers put many values exactly on and beside the thresholds.
    values = rng.integers(0, 4, (200, 3)).astype(np.float32) / np.float32(3)
    labels = (values.sum(axis=1) > 1.5).astype(str)
    frame = pl.DataFrame({f"f{i}": values[:, i] for i in range(3)})
    split = np.where(np.arange(200) < 150, "train", "validation")
    reference = RandomForestClassifier(10, random_state=0).fit(values[:150], labels[:150])
    steps = np.concatenate([np.nextafter(values, np.float32(side)) for side in (-9, 9)])
    probe = pl.DataFrame({f"f{i}": steps[:, i] for i in range(3)})
    forest = train_forest(frame, labels, split, trees=10)
    np.testing.assert_array_equal(forest.predict_proba(probe), reference.predict_proba(steps))


def test_the_same_seed_gives_the_same_forest(blobs, split, forest):
    again = train_forest(*blobs, split, trees=20, seed=3)
    other = train_forest(*blobs, split, trees=20, seed=4)
    np.testing.assert_array_equal(again.nodes["threshold"], forest.nodes["threshold"])
    assert not np.array_equal(other.predict_proba(blobs[0]), forest.predict_proba(blobs[0]))


def test_missing_and_infinite_values_count_as_the_training_median(blobs, split):
    frame, labels = blobs
    holed = frame.with_columns(
        Nuclei_F_0=pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise("Nuclei_F_0"),
        Nuclei_F_1=pl.when(pl.int_range(pl.len()) % 5 == 0)
        .then(float("inf"))
        .otherwise("Nuclei_F_1"),
        Nuclei_F_2=pl.lit(float("nan")),
    )
    forest = train_forest(holed, labels, split, trees=5)
    assert "Nuclei_F_2" not in forest.features
    values = holed["Nuclei_F_1"].to_numpy()[split == "train"]
    median = np.median(values[np.isfinite(values)].astype(np.float32))
    assert forest.medians[1] == pytest.approx(median)
    filled = holed.with_columns(
        Nuclei_F_0=pl.col("Nuclei_F_0").fill_null(float(forest.medians[0])),
        Nuclei_F_1=pl.col("Nuclei_F_1").replace(float("inf"), float(forest.medians[1])),
    )
    np.testing.assert_array_equal(forest.predict_proba(holed), forest.predict_proba(filled))


def test_of_two_correlated_features_the_first_stays(rng):
    first = rng.normal(size=100)
    values = np.stack([first, rng.normal(size=100), -2 * first + 1, np.ones(100)], axis=1)
    assert uncorrelated(values, 0.95).tolist() == [0, 1, 3]


def test_bad_features_are_refused(blobs, split, forest):
    frame, labels = blobs
    with pytest.raises(TrainingDataError, match="1 of 6 features are missing: Nuclei_F_3"):
        forest.predict_proba(frame.drop("Nuclei_F_3"))
    with pytest.raises(TrainingDataError, match="must be numbers"):
        train_forest(frame.with_columns(Nuclei_F_0=pl.lit("x")), labels, split, trees=2)
    with pytest.raises(TrainingDataError, match="none of 0 feature"):
        train_forest(frame.select("^Metadata_.*$"), labels, split, trees=2)


def test_trees_that_lead_nowhere_are_refused(forest):
    looping = {**forest.nodes, "left": np.zeros_like(forest.nodes["left"])}
    with pytest.raises(ModelFileError, match="damaged"):
        replace(forest, nodes=looping)


def test_predictions_of_a_frame_carry_its_keys(blobs, forest):
    said = predict(blobs[0].lazy(), forest)
    assert said.columns[:3] == ["Metadata_Plate", "Metadata_Well", "Metadata_ObjectNumber"]
    assert (said["label"] == pl.Series(blobs[1])).mean() > 0.9
    far = predict(blobs[0].with_columns(pl.col("^Nuclei_.*$") * 50), forest)
    assert far["novelty"].mean() > 0.9 > said["novelty"].mean()
