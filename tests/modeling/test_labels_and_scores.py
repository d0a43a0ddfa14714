import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, log_loss

from phenolake.errors import ConfigurationError, TrainingDataError
from phenolake.modeling.labels import checked_parts, encode_labels
from phenolake.modeling.scores import classification_scores

SPLIT = np.array(["train", "train", "validation", "validation"])


def test_classes_are_sorted_by_name():
    encoded = encode_labels(["b", "a", "b"])
    assert encoded.classes == ("a", "b")
    assert encoded.codes.tolist() == [1, 0, 1]
    assert encode_labels([2, 10]).classes == ("10", "2")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "no cell has a label"),
        ([None, None, None, None], "no cell has a label"),
        (["a", None, "b", ""], "2 of 4 cells have no label"),
        ([1.0, float("nan"), 2.0, 2.0], "1 of 4 cells have no label"),
        (["a", "a", "a", "a"], "only one class"),
        (["a", "b", "a", "a"], "class b has one cell only"),
        (["a", "a", "b", "b"], "class b has no cell in the training part"),
        (["a", "b", "a"], "3 labels, but 4 cells"),
    ],
)
def test_labels_that_cannot_train_are_refused(labels, message):
    with pytest.raises(TrainingDataError, match=message) as caught:
        checked_parts(encode_labels(labels), SPLIT)
    assert isinstance(caught.value, ConfigurationError)


def test_an_empty_validation_part_is_refused():
    with pytest.raises(TrainingDataError, match="validation"):
        checked_parts(encode_labels(["a", "b", "a", "b"]), np.array(["train"] * 4))


def test_scores_of_a_worked_example():
    probabilities = np.array([[0.8, 0.2, 0], [0.4, 0.6, 0], [0.1, 0.9, 0], [0.3, 0.7, 0]])
    scores = classification_scores(np.array([0, 0, 1, 1]), probabilities, ("a", "b", "c"))
    assert scores.confusion.tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert scores.metrics["accuracy"] == 0.75
    assert scores.per_class["recall"].to_list() == [0.5, 1.0, None]
    assert scores.per_class["precision"].to_list() == [1.0, pytest.approx(2 / 3), None]
    assert scores.per_class["cells"].to_list() == [2, 2, 0]


def test_scores_equal_those_of_scikit_learn(rng):
    truth = rng.integers(0, 4, 200)
    probabilities = rng.dirichlet(np.ones(4), 200)
    predicted = probabilities.argmax(axis=1)
    scores = classification_scores(truth, probabilities, tuple("abcd"))
    np.testing.assert_array_equal(scores.confusion, confusion_matrix(truth, predicted))
    assert scores.metrics["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(truth, predicted)
    )
    assert scores.metrics["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert scores.metrics["log_loss"] == pytest.approx(log_loss(truth, probabilities))
