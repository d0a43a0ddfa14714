"""Which cells of a screen to label next, from what its models said of them."""

import polars as pl
import pytest

from phenolake.errors import TrainingDataError
from phenolake.modeling.active_learning import read_annotations
from phenolake.stages.labelling_queues import queue_to_label, screen_queue

#: Probability of the first of two classes by two models, for three cells on each of two plates.
SAID = {
    ("forest", "P1"): [0.9, 0.55, 0.2],
    ("network", "P1"): [0.8, 0.3, 0.1],
    ("forest", "P2"): [0.52, 0.7, 0.95],
    ("network", "P2"): [0.99, 0.4, 0.95],
}
CELL = ["Metadata_Screen", "Metadata_Plate", "Metadata_Well", "Metadata_Site"]


def plates(models=("forest", "network")):
    for plate in ("P1", "P2"):
        rows = [
            {
                "Metadata_Screen": "s",
                "Metadata_Plate": plate,
                "Metadata_Well": "A01",
                "Metadata_Site": 1,
                "Metadata_ObjectNumber": number,
                "model_name": model,
                "model_version": "2",
                "true_label": "x" if number == 1 else None,
                "probabilities": [
                    {"class": "x", "probability": p},
                    {"class": "y", "probability": 1 - p},
                ],
            }
            for model in models
            for number, p in enumerate(SAID[model, plate], start=1)
        ]
        yield pl.DataFrame(rows)


def cells_of(queue, strategy, model):
    rows = queue.filter((pl.col("strategy") == strategy) & (pl.col("model") == model))
    return rows.sort("rank").select("Metadata_Plate", "Metadata_ObjectNumber").rows()


def test_queues_of_a_worked_example_run_over_all_plates():
    queue = screen_queue(plates(), count=3)
    assert cells_of(queue, "margin", "forest/2") == [("P2", 1), ("P1", 2), ("P2", 2)]
    assert cells_of(queue, "least_confident", "network/2") == [("P2", 2), ("P1", 2), ("P1", 1)]
    # Votes differ on the second cells; of the others the one with the smallest margin comes next.
    committee = cells_of(queue, "vote_entropy", "forest/2+network/2")
    assert committee == [("P1", 2), ("P2", 2), ("P1", 3)]
    assert queue.filter(pl.col("rank") == 1).height == 5
    assert queue.group_by("model", "strategy").len()["len"].to_list() == [3] * 5


def test_labelled_cells_leave_the_queue_and_one_model_makes_no_committee():
    labelled = next(plates(("forest",)))[1:2]
    queue = screen_queue(plates(("forest",)), labelled)
    assert sorted(queue["strategy"].unique()) == ["least_confident", "margin"]
    assert ("P1", 2) not in cells_of(queue, "margin", "forest/2")
    assert cells_of(queue, "margin", "forest/2")[0] == ("P2", 1)


def test_a_filled_in_sheet_is_an_annotation_file(tmp_path):
    sheet = queue_to_label(screen_queue(plates()), "margin", "network", count=2)
    assert sheet["label"].null_count() == 2
    path = tmp_path / "labels.csv"
    sheet.with_columns(pl.Series("label", ["x", None], dtype=pl.String)).write_csv(path)
    labels = read_annotations(path, [*CELL, "Metadata_ObjectNumber"])
    assert labels.rows() == [("s", "P2", "A01", "1", "2", "x")]


def test_a_queue_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(TrainingDataError, match="there are: least_confident of forest/2, margin"):
        queue_to_label(screen_queue(plates(("forest",))), "vote_entropy")
