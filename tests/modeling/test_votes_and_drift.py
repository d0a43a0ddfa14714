"""Uncertainty from several votes, wells from cells, and plates that drift from the training."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenolake.modeling import TrainedNetwork, predict, train_forest, train_network
from phenolake.modeling.drift import FEWEST, held_out_cells, novelty_drift, stability_index
from phenolake.modeling.ensemble import Ensemble
from phenolake.modeling.uncertainty import ensemble_uncertainty
from phenolake.modeling.votes import dropout_votes, votes_of
from phenolake.stages.predictions import well_rows


@pytest.fixture(scope="module")
def network(disks, parts, tiny) -> TrainedNetwork:
    return train_network(*disks, parts, model=tiny, epochs=1, seed=0)


def test_dropout_passes_differ_and_their_mean_is_the_prediction(network, disks):
    crops = disks[0][:9]
    said = predict(crops, network, dropout_passes=8)
    votes = dropout_votes(network, crops, 8, seed=0)
    assert votes.shape == (8, 9, 2)
    assert votes.std(axis=0).min() > 0
    probabilities = said.select("probability_large", "probability_small").to_numpy()
    assert probabilities == pytest.approx(votes.mean(axis=0), abs=1e-6)
    expected = ensemble_uncertainty(votes)
    assert said["mutual_information"].to_list() == expected["mutual_information"].to_list()
    assert (said["mutual_information"] <= said["uncertainty"] + 1e-6).all()
    assert said["novelty"].to_list() == predict(crops, network)["novelty"].to_list()


def test_dropout_passes_depend_on_the_seed_alone(network, disks):
    import torch

    crops = disks[0][:5]
    state = torch.get_rng_state()
    first = dropout_votes(network, crops, 3, seed=4)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(first, dropout_votes(network, crops, 3, seed=4))
    assert not np.array_equal(first, dropout_votes(network, crops, 3, seed=5))
    assert np.array_equal(network.predict_proba(crops), network.predict_proba(crops))


def test_a_model_of_one_opinion_has_no_votes(network, disks, blobs):
    frame, labels = blobs
    split = np.where(np.arange(300) % 4, "train", "validation")
    forest = train_forest(frame, labels, split, trees=20)
    assert votes_of(network, disks[0][:3]) is None
    assert votes_of(forest, frame, dropout_passes=5) is None
    assert "mutual_information" not in predict(frame, forest, dropout_passes=5).columns


def test_members_that_disagree_have_mutual_information(network, disks, parts, tiny):
    other = train_network(*disks, parts, model=tiny, epochs=1, seed=1)
    crops = disks[0][:6]
    both = Ensemble((network, other), network.novelty, temperature=2.0)
    votes = np.stack([network.predict_proba(crops), other.predict_proba(crops)])
    said = predict(crops, both)
    assert said["mutual_information"].to_numpy() == pytest.approx(
        ensemble_uncertainty(votes)["mutual_information"].to_numpy()
    )
    assert said["probability_large"].to_numpy() == pytest.approx(
        both.predict_proba(crops)[:, 0], abs=1e-6
    )


def _cells(novelty: np.ndarray, plate: str = "P1", split: str = "unseen") -> pl.DataFrame:
    return pl.DataFrame({"novelty": novelty.astype(np.float32)}).with_columns(
        Metadata_Plate=pl.lit(plate),
        model_name=pl.lit("m"),
        model_version=pl.lit("1"),
        split=pl.lit(split),
    )


def test_stability_index_of_a_worked_example():
    even, skewed = stability_index(np.array([[99.5, 99.5], [149.5, 49.5]]))
    assert even == 0
    assert skewed == pytest.approx(0.25 * np.log(1.5) - 0.25 * np.log(0.5))


def test_a_plate_unlike_the_training_drifts_and_others_do_not():
    even = (np.arange(500) + 0.5) / 500
    cells = pl.concat(
        [
            _cells(even, "like"),
            _cells(even**0.3, "further"),
            _cells(even**4, "nearer"),
            _cells(np.ones(FEWEST - 1), "small"),
            _cells(np.ones(500), "trained", split="train"),
        ]
    )
    drift = novelty_drift(cells.lazy(), {("m", "1"): 400})
    assert dict(drift.select("Metadata_Plate", "drifted").iter_rows()) == {
        "like": False, "further": True, "nearer": True, "small": None
    }  # fmt: skip
    assert drift["limit"].min() == pytest.approx(0.25)


def test_chance_alone_is_no_drift_however_few_cells_there_are():
    rng = np.random.default_rng(0)
    reference = np.sort(rng.normal(size=60))
    plates = [
        _cells(np.searchsorted(reference, rng.normal(size=FEWEST)) / 60, f"P{i}") for i in range(50)
    ]
    drift = novelty_drift(pl.concat(plates).lazy(), {("m", "1"): 60})
    assert drift["drifted"].sum() <= 1


def test_novelty_is_a_rank_among_the_cells_that_were_held_out():
    folds = {"cells.fold 0": "30", "cells.fold 1": "20", "seed": "7"}
    assert held_out_cells(folds) == 50
    assert held_out_cells({"cells.train": "80", "cells.validation": "20"}) == 20
    assert held_out_cells({}) == 0


def test_a_well_is_its_cells_taken_together():
    def cell(well: str, number: int, dead: float, novelty: float) -> dict[str, object]:
        label = "dead" if dead > 0.5 else "round"
        return {
            "Metadata_Screen": "S", "Metadata_Batch": None, "Metadata_Plate": "P",
            "Metadata_Well": well, "Metadata_Site": 1, "Metadata_ObjectNumber": number,
            "model_name": "m", "model_version": "1", "label": label, "true_label": "dead",
            "split": "unseen", "entropy": 0.5, "mutual_information": None, "novelty": novelty,
            "label_or_unknown": "unknown" if novelty > 0.9 else label,
            "probabilities": [
                {"class": "dead", "probability": dead}, {"class": "round", "probability": 1 - dead}
            ],
        }  # fmt: skip

    cells = [cell("A01", 1, 1.0, 1.0), cell("A01", 2, 0.4, 0.5), cell("A01", 3, 0.4, 0.0)]
    rows = well_rows(pl.LazyFrame([*cells, cell("A02", 1, 0.0, 0.2)], infer_schema_length=None))
    first, second = rows.to_dicts()
    # The mean probability calls the well dead although two cells of three are called round.
    assert (first["label"], first["cells"], second["label"]) == ("dead", 3, "round")
    assert first["probability"] == pytest.approx(0.6)
    assert first["label_share"] == pytest.approx(1 / 3)
    assert first["unknown_share"] == pytest.approx(1 / 3)
    assert first["novelty"] == pytest.approx(0.5)
    assert [(c["class"], c["cells"]) for c in first["classes"]] == [("dead", 1), ("round", 2)]
    assert second["classes"][0]["share"] == 0
