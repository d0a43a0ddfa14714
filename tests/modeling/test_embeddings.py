"""Embeddings of any network as rows and features, and models judged on the same cells."""

import numpy as np
import polars as pl
import pytest

from phenolake.errors import ModelFileError, TrainingDataError
from phenolake.modeling import ResNet18, save_model, train_encoder, train_forest, train_network
from phenolake.modeling.embedding import embed, load_network
from phenolake.stages.embeddings import embedding_features, embedding_rows
from phenolake.stages.model_scores import END_TO_END, STAGE_WISE, Cost, cell_scores

# oneDNN of torch 2.15 writes outside of its memory where maps are fewer than eight (one thread).
SLIM = ResNet18(2, channels=2, size=16, width=8)


@pytest.fixture(scope="module")
def folders(disks, parts, blobs, tiny, tmp_path_factory):
    """One stored model of each kind."""
    root = tmp_path_factory.mktemp("models")
    split = np.where(np.arange(300) < 200, "train", "validation")
    options = {"epochs": 1, "device": "cpu"}
    save_model(train_network(*disks, parts, model=tiny, **options), root / "network")
    save_model(train_encoder(disks[0], parts, layout=SLIM, **options), root / "encoder")
    save_model(train_forest(*blobs, split, trees=2), root / "forest")
    return root


@pytest.mark.parametrize(("kind", "width"), [("network", 12), ("encoder", 64)])
def test_networks_and_encoders_embed_cells_and_name_themselves(folders, disks, kind, width):
    network = load_network(folders / kind)
    values = embed(disks[0], network)
    assert values.shape == (160, width)
    np.testing.assert_array_equal(values, embed(disks[0], folders / kind))
    assert network.name == kind
    assert len(network.version) == 12


def test_what_is_no_network_has_no_embedding(folders, tmp_path):
    with pytest.raises(TrainingDataError, match="only networks have embeddings"):
        load_network(folders / "forest")
    with pytest.raises(ModelFileError, match="missing"):
        load_network(tmp_path / "nothing")


def test_rows_become_a_feature_per_unit(folders, disks):
    keys = pl.DataFrame(
        {
            "Metadata_Screen": ["s"] * 160,
            "Metadata_Batch": [None] * 160,
            "Metadata_Plate": ["P"] * 160,
            "Metadata_Well": ["A01"] * 160,
            "Metadata_Site": [1] * 160,
            "Metadata_ObjectNumber": range(1, 161),
        },
        schema_overrides={"Metadata_Batch": pl.String},
    )
    network = load_network(folders / "network")
    parts = [(keys[:100], disks[0][:100]), (keys[:0], disks[0][:0]), (keys[100:], disks[0][100:])]
    rows = pl.concat([pl.DataFrame(table) for table in embedding_rows(parts, network)])
    features = embedding_features(rows)
    names = [f"Cells_Embedding_{unit:03d}" for unit in range(1, 13)]
    assert features.columns[-12:] == names
    np.testing.assert_array_equal(features.select(names).to_numpy(), embed(disks[0], network))
    assert features["Metadata_ObjectNumber"].to_list() == list(range(1, 161))
    assert embedding_features(rows.clear()).height == 0


def predictions(model, parts, probabilities):
    """Three cells, one per well, true classes a, b, a."""
    return pl.DataFrame(
        {
            "model_name": model,
            "model_version": "1",
            "Metadata_Plate": "P",
            "Metadata_Well": ["A01", "A02", "A03"],
            "Metadata_Site": 1,
            "Metadata_ObjectNumber": 1,
            "true_label": ["a", "b", "a"],
            "split": parts,
            "probabilities": [
                [{"class": "a", "probability": p}, {"class": "b", "probability": 1 - p}]
                for p in probabilities
            ],
        }
    )


def test_models_are_judged_on_the_wells_that_none_of_them_met():
    both = pl.concat(
        [
            predictions("forest", ["train", "validation", "validation"], [1.0, 0.9, 0.8]),
            predictions("network", ["unseen", "validation", "validation"], [1.0, 0.1, 0.8]),
        ]
    )
    costs = {
        ("forest", "1"): Cost(STAGE_WISE, 10),
        ("network", "1"): Cost(END_TO_END, 20, fit_seconds=3.0),
    }
    table = cell_scores(both, costs)
    values = {(r["model_name"], r["score"]): r["value"] for r in table.iter_rows(named=True)}
    assert values["forest", "accuracy"] == 0.5
    assert values["network", "accuracy"] == 1.0
    expected = -np.log([0.9, 0.8]).mean()
    assert values["network", "log_loss"] == pytest.approx(expected)
    assert table["judged"].unique().to_list() == [2]
    network = table.filter(pl.col("model_name") == "network").row(0, named=True)
    assert (network["approach"], network["training_cells"], network["fit_seconds"]) == (
        "end-to-end", 20, 3.0,
    )  # fmt: skip


def test_a_class_that_a_model_does_not_know_is_a_mistake():
    one = predictions("forest", ["unseen"] * 3, [0.9, 0.2, 0.9]).with_columns(
        true_label=pl.Series(["a", "b", "c"])
    )
    table = cell_scores(one, {("forest", "1"): Cost(STAGE_WISE)})
    values = dict(table.select("score", "value").iter_rows())
    assert values["accuracy"] == pytest.approx(2 / 3)
    assert cell_scores(one.clear(), {}).height == 0
