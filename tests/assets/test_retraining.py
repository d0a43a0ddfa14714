"""The loop of labelling: a queue, labels that come back, models retrained, the next queue."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import yaml

from phenolake.modeling import Tracker
from phenolake.stages.labelling_queues import queue_to_label
from plates import write_screen
from scenario import Installation, failure_of, installation

SMALL = {"Metadata_Screen": "small"}
NEEDED = (
    *("raw_image_catalog", "plate_map", "illumination_functions", "image_quality"),
    *("segmentation_masks", "objects", "single_cell_features", "single_cell_crops"),
)
PLACE = ["Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber"]


def run(home: Installation, job: str, partition: str = "small", **options: object) -> None:
    result = home.run(job, partition, **options)
    assert result.success, failure_of(result)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A screen of one plate, its models trained on the plate map and its first queue."""
    root = tmp_path_factory.mktemp("retraining")
    with installation(root / "home") as home:
        home.add(write_screen(root / "small"))
        run(home, "plate_job", "small__P1", only=NEEDED)
        run(home, "retrain_job", phenotype_network={"epochs": 1})
        yield home, root / "small"


def labelled(sheet: pl.DataFrame, folder: Path) -> None:
    """Fill in a sheet by the parity of object numbers and name it in `screen.yaml`."""
    is_even = pl.col("Metadata_ObjectNumber") % 2 == 0
    label = pl.when(is_even).then(pl.lit("even")).otherwise(pl.lit("odd"))
    sheet.with_columns(label.alias("label")).write_csv(folder / "labels.csv")
    config = yaml.safe_load((folder / "screen.yaml").read_text())
    (folder / "screen.yaml").write_text(yaml.safe_dump({**config, "annotations": "labels.csv"}))


@pytest.fixture(scope="module")
def retrained(home):
    """Twenty cells are labelled, the job runs, its candidates are promoted, and it runs again."""
    installed, folder = home
    before = installed.lake.read("model_predictions", SMALL)
    queue = installed.lake.read("labelling_queue", SMALL)
    sheet = queue_to_label(queue, "margin", "small-forest", 20)
    labelled(sheet, folder)
    run(installed, "retrain_job", phenotype_network={"epochs": 1})
    tracker = Tracker(installed.settings.mlflow_tracking_uri)
    waiting = {row.name: row for row in tracker.versions() if row.version == "2"}
    for name in waiting:
        tracker.promote(name, "2", force=True)
    run(
        installed,
        "retrain_job",
        only=("model_predictions", "well_predictions", "labelling_queue"),
    )
    return before, sheet, waiting, installed.lake


def test_models_of_new_classes_wait_as_candidates(retrained):
    _, _, waiting, _ = retrained
    assert set(waiting) == {"small-forest", "small-network"}
    assert all("classes differ" in row.reason for row in waiting.values())


def test_predictions_have_the_classes_of_the_labels(retrained):
    before, _, _, lake = retrained
    after = lake.read("model_predictions", SMALL)
    assert set(before["label"]) <= {"negative control", "toxin"}
    assert set(after["label"]) <= {"even", "odd"}
    assert set(after["model_version"]) == {"2"}
    assert after.height == before.height == 2 * 4 * 9


def test_true_labels_are_those_of_the_annotated_cells_only(retrained):
    before, sheet, _, lake = retrained
    assert before["true_label"].null_count() == 0
    after = lake.read("model_predictions", SMALL)
    known = after.drop_nulls("true_label")
    assert known.height == 2 * sheet.height
    assert known.join(sheet, on=PLACE, how="anti").is_empty()
    is_even = known["Metadata_ObjectNumber"] % 2 == 0
    assert ((known["true_label"] == "even") == is_even).all()


def test_a_well_of_differently_labelled_cells_has_no_true_label(retrained):
    _, _, _, lake = retrained
    assert lake.read("well_predictions", SMALL)["true_label"].null_count() == 2 * 4


def test_the_next_queue_leaves_out_what_has_a_label(retrained):
    _, sheet, _, lake = retrained
    queue = lake.read("labelling_queue", SMALL)
    assert queue.join(sheet, on=PLACE, how="semi").is_empty()
    assert set(queue["guess"]) <= {"even", "odd"}
    assert queue.filter(strategy="margin").height == 2 * (4 * 9 - sheet.height)
