import io

import numpy as np
import pytest
from PIL import Image

from phenolake.pictures.curves import confusion_matrix, training_curves


def row(epoch):
    measures = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")
    return {"epoch": float(epoch), **dict.fromkeys(measures, 1 / epoch)}


@pytest.mark.parametrize("epochs", [1, 500])
def test_curves_are_small_pictures_and_always_the_same(epochs):
    history = [row(epoch) for epoch in range(1, epochs + 1)]
    picture = training_curves(history)
    assert len(picture) < 80_000
    assert Image.open(io.BytesIO(picture)).format == "PNG"
    assert picture == training_curves(history)


@pytest.mark.parametrize("size", [2, 8, 60])
def test_confusion_matrices_of_any_size_are_small_pictures(size):
    matrix = np.random.default_rng(0).integers(0, 1000, (size, size))
    matrix[0] = 0  # a class without cells
    picture = confusion_matrix(matrix, [f"a rather long class name {i}" for i in range(size)])
    assert len(picture) < 80_000
    assert max(Image.open(io.BytesIO(picture)).size) < 1500
