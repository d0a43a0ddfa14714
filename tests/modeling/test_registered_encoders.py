"""Encoders in the registry: trained without labels, judged by nearest cells, used by name."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from phenolake.errors import ModelFileError, TrainingDataError
from phenolake.modeling import Recipe, embed, load_model, load_network
from phenolake.modeling.encoder_workflow import neighbour_classes, register_encoder


@pytest.fixture(scope="module")
def registered(disks, tiny, tracker):
    crops, labels = disks
    keys = pl.DataFrame(
        {
            "Metadata_Plate": [f"P{1 + row // 2 % 4}" for row in range(len(labels))],
            "Metadata_Well": "A01",
            "Metadata_ObjectNumber": range(len(labels)),
        }
    )
    options = {
        "keys": keys, "by": "Metadata_Plate", "name": "disks-encoder", "tracker": tracker,
        "layout": tiny, "recipe": Recipe(learning_rate=0.01, batch_size=40), "device": "cpu",
    }  # fmt: skip
    return [register_encoder(crops, labels, epochs=epochs, **options) for epochs in (1, 2)]


def test_nearest_cells_vote_for_their_class():
    known = np.array([[1, 0], [1, 0.1], [0, 1]], dtype=np.float32).repeat(10, axis=0)
    shares = neighbour_classes(known, np.repeat([0, 0, 1], 10), np.array([[2.0, 0.0]]), 2)
    assert shares.tolist() == [[1.0, 0.0]]


def test_an_encoder_is_listed_with_its_score_on_held_out_plates(registered, tracker):
    rows = [row for row in tracker.versions() if row.name == "disks-encoder"]
    assert [row.kind for row in rows] == ["encoder", "encoder"]
    for row, result in zip(rows, registered, strict=True):
        assert row.metric == pytest.approx(result.scores.metrics["balanced_accuracy"])
        assert result.summary.by == "Metadata_Plate"
    assert "champion" in rows[1 if registered[1].promotion.promoted else 0].aliases
    assert "candidate" in rows[1].aliases


def test_the_gate_compares_encoders_on_the_same_held_out_plates(registered):
    first, second = (result.scores.metrics["balanced_accuracy"] for result in registered)
    assert registered[1].promotion.promoted == (second > first)
    assert registered[1].promotion.reason == (
        f"balanced_accuracy {second:.4f} against {first:.4f} of version 1"
    )


def test_a_registered_encoder_embeds_and_names_no_classes(registered, disks, tracker):
    uri = "models:/disks-encoder/1"
    network = load_network(uri, tracker.tracking_uri)
    assert (network.name, network.version) == ("disks-encoder", "1")
    expected = registered[0].model.embed(disks[0][:5])
    np.testing.assert_array_equal(embed(disks[0][:5], network), expected)
    with pytest.raises(ModelFileError, match="encoder, which names no classes"):
        load_model(uri, tracker.tracking_uri)


def test_one_class_can_judge_no_encoder(disks, tracker):
    keys = pl.DataFrame({"Metadata_Plate": ["P1", "P2"] * 80})
    with pytest.raises(TrainingDataError, match="only one class"):
        register_encoder(
            disks[0], ["a"] * 160, keys=keys, by="Metadata_Plate", name="one", tracker=tracker
        )


def test_an_encoder_has_card_curves_signature_and_split(registered, tracker):
    run_id = registered[0].registered.run_id
    files = {entry.path for entry in tracker.client.list_artifacts(run_id)}
    assert {"training_curves.png", "confusion_matrix.png", "split_of_wells.csv"} <= files
    card = tracker.client.download_artifacts(run_id, "model/README.md")
    assert "scores are those of the nearest training cells" in Path(card).read_text()
