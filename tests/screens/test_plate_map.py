from __future__ import annotations

from pathlib import Path

import pytest

from phenolake.errors import ConfigurationError
from phenolake.screens.discover import Screen
from phenolake.screens.plate_map import PlateMap, read_plate_map
from plates import write_screen


def read(tmp_path: Path, text: str | None, wells: set[str], settings: str = "") -> PlateMap:
    folder = write_screen(tmp_path / "s", plate_map=text)
    with (folder / "screen.yaml").open("a") as file:
        file.write(settings)
    screen = Screen.open(folder)
    return read_plate_map(screen, screen.plates()[0].key, wells)


def test_columns_are_recognised_by_the_names_labs_use(tmp_path: Path) -> None:
    text = "Well Position,Compound,Dose,Control Type,MoA,Vendor\nA1,taxol,1.5,poscon,tubulin,acme\n"
    row = read(tmp_path, text, {"A01"}).rows.row(0, named=True)
    assert row["Metadata_Well"] == "A01"
    assert row["Metadata_Perturbation"] == "taxol"
    assert row["Metadata_Concentration"] == 1.5
    assert row["Metadata_ControlType"] == "poscon"
    assert row["Metadata_MOA"] == "tubulin"
    assert row["Metadata_Vendor"] == "acme"


def test_wells_may_be_given_as_row_and_column(tmp_path: Path) -> None:
    assert read(tmp_path, "Row,Column\nB,03\n", {"B03"}).problems == []


def test_whole_rows_get_a_perturbation_and_a_control_group(tmp_path: Path) -> None:
    settings = (
        "plate_map:\n"
        "  columns: {control: ctl}\n"
        "  controls: {'-1': negcon, '1': poscon}\n"
        "  rows: {A-B: wortmannin, C: LY294002}\n"
    )
    rows = read(tmp_path, "well,ctl\nA01,-1\nB01,1\nC01,1\n", {"A01", "B01", "C01"}, settings).rows
    drugs = ["wortmannin", "wortmannin", "LY294002"]
    assert rows["Metadata_Perturbation"].to_list() == drugs
    assert rows["Metadata_ControlGroup"].to_list() == drugs
    assert rows["Metadata_ControlType"].to_list() == ["negcon", "poscon", "poscon"]


def test_a_row_without_image_and_an_image_without_row_are_both_reported(tmp_path: Path) -> None:
    found = read(tmp_path, "well,compound\nA01,x\nA02,y\n", {"A01", "B01"})
    assert [(p.problem, p.well) for p in found.problems] == [
        ("well_without_image", "A02"),
        ("well_without_plate_map", "B01"),
    ]
    assert found.rows["Metadata_Well"].to_list() == ["A01", "B01"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("well,dose\nA01,ten\n", "bad_concentration"),
        ("well,control\nA01,maybe\n", "unknown_control_type"),
        ("well,compound\nA01,x\nA01,y\n", "well_listed_twice"),
        ("well,compound\nA01,x\nZZ9,y\n", "bad_well_name"),
        (None, "no_plate_map"),
    ],
)
def test_a_bad_value_is_a_problem_and_the_well_stays(
    tmp_path: Path, text: str | None, problem: str
) -> None:
    found = read(tmp_path, text, {"A01"})
    assert problem in [p.problem for p in found.problems]
    assert found.rows["Metadata_Well"].to_list() == ["A01"]


def test_a_file_that_names_no_well_is_refused_with_its_columns(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no column names the well; it has a, b"):
        read(tmp_path, "a,b\n1,2\n", {"A01"})


def test_one_file_may_hold_several_plates(tmp_path: Path) -> None:
    found = read(tmp_path, "plate,well,compound\nP1,A01,x\nP2,A01,y\n", {"A01"})
    assert found.rows["Metadata_Perturbation"].to_list() == ["x"]


def test_the_negative_control_can_be_named(tmp_path: Path) -> None:
    settings = "plate_map: {negative_control: DMSO}\n"
    rows = read(tmp_path, "well,compound\nA01,DMSO\nA02,x\n", {"A01", "A02"}, settings).rows
    assert rows["Metadata_ControlType"].to_list() == ["negcon", "trt"]
