"""Linear classifiers and boosted trees against scikit-learn, through files and back."""

import numpy as np
import polars as pl
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from phenolake.errors import TrainingDataError, UnknownNameError
from phenolake.modeling import predict, read_model, save_model, split_by
from phenolake.modeling.classical import train_boosting, train_linear
from phenolake.modeling.classical.scaling import Scaling


@pytest.fixture(scope="module")
def split(blobs):
    frame, labels = blobs
    return split_by(frame, labels=labels)


def matrices(blobs, split):
    values = blobs[0].select("^Nuclei_.*$").to_numpy().astype(np.float32)
    train = values[split == "train"]
    return (values - train.mean(axis=0)) / train.std(axis=0), split == "train", np.array(blobs[1])


def test_fishers_discriminant_equals_that_of_scikit_learn(blobs, split):
    values, train, labels = matrices(blobs, split)
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0)
    reference.fit(values[train], labels[train])
    model = train_linear(*blobs, split, method="lda", scale="standard")
    said = model.predict_proba(blobs[0])
    # Ours shrinks the pooled covariance, theirs is left as it is.
    assert (said.argmax(axis=1) == reference.predict_proba(values).argmax(axis=1)).mean() > 0.97


def test_logistic_regression_equals_that_of_scikit_learn(blobs, split):
    values, train, labels = matrices(blobs, split)
    reference = LogisticRegression(C=0.5, max_iter=1000).fit(values[train], labels[train])
    model = train_linear(*blobs, split, method="logistic", scale="standard", cost=0.5)
    np.testing.assert_allclose(
        model.predict_proba(blobs[0]), reference.predict_proba(values), atol=2e-3
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_boosted_trees_equal_those_of_scikit_learn(blobs, split, classes):
    frame, labels = blobs
    labels = [name if classes == 3 else str(name == "taxol") for name in labels]
    values = frame.select("^Nuclei_.*$").to_numpy().astype(np.float32)
    reference = HistGradientBoostingClassifier(max_iter=5, early_stopping=False, random_state=0)
    reference.fit(values[split == "train"], np.array(labels)[split == "train"])
    model = train_boosting(frame, labels, split, rounds=5)
    np.testing.assert_allclose(model.predict_proba(frame), reference.predict_proba(values))


@pytest.mark.parametrize("method", ["lda", "logistic", "svm"])
def test_linear_models_tell_classes_apart_and_come_back_from_files(blobs, split, method, tmp_path):
    model = train_linear(*blobs, split, method=method)
    save_model(model, tmp_path)
    said = predict(blobs[0], read_model(tmp_path))
    assert said.equals(predict(blobs[0], model))
    held = split == "validation"
    assert (said["label"].to_numpy() == np.array(blobs[1]))[held].mean() > 0.7


def test_boosted_trees_come_back_from_files(blobs, split, tmp_path):
    model = train_boosting(*blobs, split, rounds=3)
    save_model(model, tmp_path)
    assert predict(blobs[0], read_model(tmp_path)).equals(predict(blobs[0], model))


def test_two_classes_have_two_probabilities(blobs, split):
    # The first and the last of three classes in a row, so that a line can part them.
    labels = [str(name == "sn38") for name in blobs[1]]
    for method in ("lda", "logistic", "svm"):
        said = train_linear(blobs[0], labels, split, method=method).predict_proba(blobs[0])
        np.testing.assert_allclose(said.sum(axis=1), 1)
        assert ((said[:, 1] > 0.5) == (np.array(labels) == "True")).mean() > 0.8


def test_the_first_of_two_correlated_features_stays(blobs, split):
    frame = blobs[0].with_columns(Nuclei_F_9=pl.col("Nuclei_F_0") * 3 + 1)
    model = train_linear(frame, blobs[1], split)
    assert "Nuclei_F_0" in model.columns.names
    assert "Nuclei_F_9" not in model.columns.names


def test_ranks_do_not_change_with_the_unit_and_go_on_outside_the_training_range():
    values = np.arange(101, dtype=np.float32)[:, None]
    scaling, other = Scaling.fit(values, "ranks"), Scaling.fit(values * 7 - 3, "ranks")
    np.testing.assert_allclose(scaling.apply(values), other.apply(values * 7 - 3), atol=1e-4)
    scores = scaling.apply(np.array([[-1000], [0], [50], [100], [125], [1000]], np.float32))
    np.testing.assert_allclose(scores[:, 0], [-6, -3, 0, 3, 4.5, 6], atol=1e-6)


def test_tied_values_get_their_middle_rank():
    values = np.array([0] * 50 + [1] * 50, np.float32)[:, None]
    scores = Scaling.fit(values, "ranks").apply(np.array([[0], [1]], np.float32))
    np.testing.assert_allclose(scores[0], -scores[1], atol=0.05)


def test_a_constant_feature_says_nothing(blobs, split):
    frame = blobs[0].with_columns(Nuclei_C=pl.lit(4.0))
    for scale in ("standard", "ranks"):
        said = train_linear(frame, blobs[1], split, scale=scale).predict_proba(frame)
        assert np.isfinite(said).all()


def test_wrong_names_and_missing_features_are_one_sentence(blobs, split):
    with pytest.raises(UnknownNameError, match=r"lad.*Did you mean 'lda'"):
        train_linear(*blobs, split, method="lad")
    model = train_linear(*blobs, split)
    with pytest.raises(TrainingDataError, match="1 of 6 features are missing: Nuclei_F_2"):
        predict(blobs[0].drop("Nuclei_F_2"), model)
