"""Pictures of what a network does: which cells it names, and where it looks."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from phenolake.errors import TrainingDataError
from phenolake.modeling import Architecture, train_network
from phenolake.modeling.example_cells import choose_examples, example_pictures
from phenolake.modeling.grad_cam import grad_cam


@pytest.fixture(scope="module")
def spots():
    """Crops with and without a bright spot somewhere, where it is, and a network of them."""
    rng = np.random.default_rng(4)
    labels = np.array(["none", "spot"] * 100)
    places = rng.integers(3, 13, (200, 2))
    y, x = np.mgrid[:16, :16]
    spot = np.hypot(y - places[:, 0, None, None], x - places[:, 1, None, None]) < 2.5
    shown = spot & (labels == "spot")[:, None, None]
    crops = (rng.normal(60, 8, (200, 1, 16, 16)) + 120 * shown[:, None]).clip(0, 255)
    layout = Architecture(
        classes=2, channels=1, size=16, widths=(8, 8), convolutions=1, hidden=(16,), dropout=0.0
    )
    crops = crops.astype(np.uint8)
    parts = np.where(np.arange(200) % 10 < 8, "train", "validation")
    network = train_network(
        crops, labels, parts, model=layout, epochs=12, learning_rate=0.003, batch_size=20,
        device="cpu",
    )  # fmt: skip
    return crops, labels, places, network


def test_a_network_looks_where_the_evidence_is(spots):
    crops, labels, places, network = spots
    rows = np.flatnonzero(labels == "spot")
    rows = rows[network.predict_proba(crops[rows]).argmax(axis=1) == 1]
    assert len(rows) > 80
    heat = grad_cam(network, crops[rows], np.ones(len(rows), int))
    assert heat.shape == (len(rows), 16, 16)
    assert heat.min() >= 0
    assert heat.max(axis=(1, 2)) == pytest.approx(1, abs=1e-5)
    peaks = np.array([np.unravel_index(one.argmax(), one.shape) for one in heat])
    near = np.hypot(*(peaks - places[rows]).T) < 4
    assert near.mean() > 0.8


def test_asking_where_a_network_looks_changes_nothing(spots):
    crops, _, _, network = spots
    before = network.predict_proba(crops[:5])
    grad_cam(network, crops[:5], np.zeros(5, int))
    assert np.array_equal(network.predict_proba(crops[:5]), before)
    with pytest.raises(TrainingDataError, match="the model takes crops of"):
        grad_cam(network, crops[:, :, :8, :8], np.zeros(200, int))


def test_the_surest_cells_of_each_class_are_chosen():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.05, 0.95]])
    truth = np.array([0, 0, 0, 0, 1])
    chosen = choose_examples(truth, probabilities, count=1)
    assert (chosen[0].typical, chosen[0].wrong) == ([0], [2])
    assert (chosen[1].typical, chosen[1].wrong) == ([4], [])


def test_pictures_are_drawn_for_cells_right_and_wrong(spots):
    crops, labels, _, network = spots
    truth = (labels == "spot").astype(int)
    probabilities = network.predict_proba(crops).copy()
    probabilities[:3] = probabilities[:3, ::-1]
    pictures = example_pictures(network, crops, truth, probabilities)
    assert set(pictures) == {"examples", "grad_cam"}
    assert all(Image.open(io.BytesIO(png)).width > 400 for png in pictures.values())
