"""Labels that come back as a CSV file, and the cells they make a training set of."""

import polars as pl
import pytest

from phenolake.errors import TrainingDataError, UnknownNameError
from phenolake.stages.training_sets import (
    annotated_cells,
    draw_labelled,
    held_out_by,
    true_labels,
)

CELLS = pl.DataFrame(
    [("s", "b", "P1", well, 1, number) for well in ("A01", "A02", "B01") for number in (1, 2)],
    schema={
        "Metadata_Screen": pl.String, "Metadata_Batch": pl.String, "Metadata_Plate": pl.String,
        "Metadata_Well": pl.String, "Metadata_Site": pl.Int32, "Metadata_ObjectNumber": pl.Int32,
    },
    orient="row",
)  # fmt: skip
CELL = "Metadata_Plate,Metadata_Well,Metadata_Site,Metadata_ObjectNumber,label\n"


def annotated(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    return annotated_cells(path, CELLS.lazy())


def test_labels_of_wells_are_those_of_all_their_cells(tmp_path):
    found = annotated(tmp_path, "Metadata_Plate,Metadata_Well,label\nP1,A01,x\nP1,B01,y\n")
    assert found.cells["label"].to_list() == ["x", "x", "y", "y"]
    assert found.missing.is_empty()


def test_labels_of_cells_that_are_missing_are_told_and_not_fatal(tmp_path):
    found = annotated(tmp_path, CELL + "P1,A01,1,2,dead\nP1,H12,1,1,dead\nP1,A01,one,1,dead\n")
    assert found.cells.select("Metadata_Well", "Metadata_ObjectNumber").rows() == [("A01", 2)]
    assert found.note == (
        "1 cells have a label from the annotations; "
        "2 label(s) are of what is not there, such as P1 H12 1 1"
    )


def test_annotations_of_nothing_that_is_there_are_one_sentence(tmp_path):
    with pytest.raises(TrainingDataError, match="none of its 1 labels is of a cell there is"):
        annotated(tmp_path, CELL + "P1,H12,1,1,dead\n")


def test_a_class_met_in_one_well_only_is_left_out_since_it_can_not_be_held_out(tmp_path):
    text = "P1,A01,1,1,x\nP1,A02,1,1,x\nP1,B01,1,1,y\nP1,B01,1,2,y\n"
    drawn = draw_labelled(annotated(tmp_path, CELL + text).cells, 10, seed=0)
    assert drawn["label"].to_list() == ["x", "x"]


def test_compounds_and_plates_can_be_held_out():
    plate_map = pl.DataFrame(
        {
            "Metadata_Plate": "P1",
            "Metadata_Well": ["A01", "A02", "B01"],
            "Metadata_Perturbation": ["x", "y", "y"],
        }
    )
    keys, by = held_out_by(CELLS, "compound", plate_map)
    assert by == "Metadata_Perturbation"
    assert keys[by].to_list() == ["x", "x", "y", "y", "y", "y"]
    keys, by = held_out_by(CELLS, "plate", plate_map)
    assert (keys.columns, by) == (CELLS.columns, "Metadata_Plate")
    with pytest.raises(UnknownNameError, match="batch, compound, plate, well"):
        held_out_by(CELLS, "dose", plate_map)


def test_true_labels_are_those_that_a_model_can_know():
    wells = pl.DataFrame({"Metadata_Plate": "P1", "Metadata_Well": ["A01"], "label": ["drug"]})
    annotated = CELLS[:1].with_columns(label=pl.lit("dead"))
    assert true_labels(["alive", "dead"], wells, annotated)["label"].to_list() == ["dead"]
    assert true_labels(["drug", "solvent"], wells, annotated).columns == wells.columns
    assert true_labels(["alive", "dead"], wells, None).columns == wells.columns
