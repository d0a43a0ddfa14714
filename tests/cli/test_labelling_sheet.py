"""`phenolake models queue`: from the queue of a screen to a sheet that takes labels."""

from __future__ import annotations

import polars as pl
import pytest

from phenolake.lake import Lake
from phenolake.tables import LABELLING_QUEUE


@pytest.fixture(scope="module")
def queue(home):
    rows = pl.DataFrame(
        {
            "Metadata_Screen": "s",
            "Metadata_Plate": "P1",
            "Metadata_Well": "A01",
            "Metadata_Site": 1,
            "Metadata_ObjectNumber": [3, 1, 2],
            "model": "s-forest/2",
            "strategy": "margin",
            "rank": [1, 2, 3],
            "priority": [0.9, 0.5, 0.1],
            "guess": ["x", "y", "x"],
            "current_label": [None, "y", "x"],
        }
    )
    where = {"Metadata_Screen": "s"}
    Lake(str(home / "tables")).write(LABELLING_QUEUE, rows, where)


def test_the_first_cells_of_a_queue_become_a_sheet(phenolake, queue, tmp_path):
    sheet = tmp_path / "labels.csv"
    answer = phenolake("models", "queue", "s", "--count", 2, "--out", sheet)
    assert answer.status == 0, answer.errors
    assert answer.output.startswith("2 cells of s-forest/2 by margin")
    rows = pl.read_csv(sheet)
    assert rows["Metadata_ObjectNumber"].to_list() == [3, 1]
    assert rows["label"].null_count() == 2


def test_a_queue_that_is_not_there_is_one_sentence(phenolake, queue, tmp_path):
    answer = phenolake(
        "models", "queue", "s", "--strategy", "vote_entropy", "--out", tmp_path / "labels.csv"
    )
    assert answer.status == 1
    assert "no queue by vote_entropy; there are: margin of s-forest/2" in answer.errors


def test_a_screen_without_a_queue_is_named(phenolake, queue, tmp_path):
    answer = phenolake("models", "queue", "other", "--out", tmp_path / "labels.csv")
    assert answer.status == 1
    assert "no labelling queue of screen 'other'" in answer.errors


def test_later_profiles_without_a_plate_name_their_file(phenolake, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    answer = phenolake("correct", tmp_path / "x.csv", tmp_path / "out.parquet", "--screen", "s")
    assert answer.status == 1
    assert "x.csv: no table of profiles (no column Metadata_Plate)" in answer.errors
