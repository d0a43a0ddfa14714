"""Plate maps in every form: grids, workbooks, JUMP's pair, assay layouts; doses and control words."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenolake.errors import ConfigurationError
from phenolake.identity import PLATE_FORMATS, PlateKey, Well, row_letters, wells_of_format
from phenolake.screens.discover import Screen
from phenolake.screens.plate_map import PlateMap, read_plate_map
from phenolake.screens.plate_map_columns import control_type
from phenolake.screens.plate_map_doses import normalized, parse_dose, unit_of_header
from phenolake.screens.plate_map_grids import grids


def read(folder: Path, *wells: str, plate: str = "P1", settings: str = "") -> PlateMap:
    folder.mkdir(exist_ok=True)
    (folder / "screen.yaml").write_text(settings or "{}")
    return read_plate_map(Screen.open(folder), PlateKey("s", plate), wells)


def row(found: PlateMap, well: str) -> dict[str, object]:
    return next(r for r in found.rows.iter_rows(named=True) if r["Metadata_Well"] == well)


def grid(wells: int, value: str = "{}") -> list[list[str]]:
    rows, columns = PLATE_FORMATS[wells]
    lines = [["", *(str(c) for c in range(1, columns + 1))]]
    return lines + [
        [row_letters(r), *(value.format(Well(r, c).name) for c in range(1, columns + 1))]
        for r in range(1, rows + 1)
    ]


@pytest.mark.parametrize("wells", [6, 12, 24, 48, 96, 384, 1536])
def test_a_grid_of_every_format_names_each_well(wells: int) -> None:
    found = grids(grid(wells))
    assert found == {"perturbation": {well: well.name for well in wells_of_format(wells)}}


@pytest.mark.parametrize("wells", [96, 384, 1536])
def test_grids_in_csv_are_stacked_under_their_names(tmp_path: Path, wells: int) -> None:
    lines = [["compound"], *grid(wells, "drug {}"), [], ["dose (nM)"], *grid(wells, "500")]
    (tmp_path / "platemap.csv").write_text("\n".join(",".join(line) for line in lines))
    last = wells_of_format(wells)[-1].name
    found = row(read(tmp_path, "A01", last), last)
    assert found["Metadata_Perturbation"] == f"drug {last}"
    assert (found["Metadata_Concentration"], found["Metadata_ConcentrationUnit"]) == (0.5, "uM")
    assert found["Metadata_ConcentrationOriginal"] == "500 nM"


def test_a_workbook_holds_a_grid_per_sheet(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for title, value in (("compound", "x{}"), ("concentration", "2"), ("moa", "toxin")):
        sheet = book.create_sheet(title)
        for line in grid(96, value):
            sheet.append([int(cell) if cell.isdecimal() else cell for cell in line])
    book.remove(book.worksheets[0])
    book.save(tmp_path / "platemap.xlsx")
    found = row(read(tmp_path, "H12"), "H12")
    assert (
        found["Metadata_Perturbation"],
        found["Metadata_Concentration"],
        found["Metadata_MOA"],
    ) == ("xH12", 2.0, "toxin")


def test_a_workbook_may_hold_a_plain_table(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for line in (["Well", "Compound", "Vendor"], ["B3", "taxol", "acme"], [None, None, None]):
        book.active.append(line)  # type: ignore[union-attr]
    book.save(tmp_path / "map.xlsx")
    found = row(read(tmp_path, "B03", settings="plate_map: {file: map.xlsx}"), "B03")
    assert (found["Metadata_Perturbation"], found["Metadata_Vendor"]) == ("taxol", "acme")


def test_a_damaged_workbook_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "platemap.xlsx").write_bytes(b"PK\3\4 no workbook")
    with pytest.raises(ConfigurationError, match="not readable as a workbook"):
        read(tmp_path, "A01")


def test_a_barcode_file_leads_to_the_plates_map(tmp_path: Path) -> None:
    (tmp_path / "platemap").mkdir()
    (tmp_path / "barcode_platemap.csv").write_text(
        "Assay_Plate_Barcode,Plate_Map_Name,Batch_Number\nBR1,m1,4\nBR2,m2,5\n"
    )
    for name, compound in (("m1", "a"), ("m2", "b")):
        text = "plate_map_name\twell_position\tbroad_sample\tmmoles_per_liter\tsolvent\n"
        (tmp_path / "platemap" / f"{name}.txt").write_text(
            f"{text}{name}\tA01\t{compound}\t0.005\tDMSO\n{name}\tA02\t\t\tDMSO\n"
        )
    found = read(tmp_path, "A01", "A02", plate="BR2")
    treated, control = row(found, "A01"), row(found, "A02")
    assert (treated["Metadata_Perturbation"], treated["Metadata_Concentration"]) == ("b", 5.0)
    assert treated["Metadata_Batch_Number"] == "5"
    assert (control["Metadata_Perturbation"], control["Metadata_ControlType"]) == ("DMSO", "negcon")
    assert control["Metadata_ConcentrationUnit"] is None
    unlisted = read(tmp_path, "A01", plate="BR9")
    assert [p.problem for p in unlisted.problems] == ["well_without_plate_map"]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "gone", "x" * 300, "barcode_platemap.csv"]
)
def test_a_barcode_file_never_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "barcode_platemap.csv").write_text(
        f"Assay_Plate_Barcode,Plate_Map_Name\nP1,{name}\n"
    )
    with pytest.raises(ConfigurationError, match="plate map"):
        read(tmp_path, "A01")


def test_real_jump_and_lincs_pairs(shared_data: Path) -> None:
    screen = Screen.open(shared_data / "jumpmoa_dye_plates" / "platemaps")
    wells = [well.name for well in wells_of_format(384)]
    for plate in ("BR00122246", "BR00122247", "BR00122248_24h"):
        found = read_plate_map(screen, PlateKey("s", plate), wells)
        assert found.rows["Metadata_ControlType"].value_counts(sort=True).row(1) == ("negcon", 24)
        assert found.rows["Metadata_Perturbation"].n_unique() >= 90
    screen = Screen.open(shared_data / "lincs_plate_metadata")
    rows = read_plate_map(screen, PlateKey("s", "SQ00015201"), wells).rows
    assert rows.filter(rows["Metadata_ControlType"] == "negcon").height == 24


def test_the_real_operettas_layout_is_read(shared_data: Path) -> None:
    screen = Screen.open(shared_data / "vendor_layouts" / "Operetta")
    found = row(read_plate_map(screen, PlateKey("s", "Operetta"), ["C03"]), "C03")
    assert (found["Metadata_Perturbation"], found["Metadata_Concentration"]) == ("DMSO", 0.125)
    assert (found["Metadata_ConcentrationUnit"], found["Metadata_ControlType"]) == ("%", "negcon")


def test_harmonys_assay_layout_has_a_layer_per_variable(tmp_path: Path) -> None:
    def layer(name: str, value: str) -> str:
        empty = "<Well><Row>1</Row><Col>2</Col><Value /></Well>"
        return f"<Layer><Name>{name}</Name><Well><Row>3</Row><Col>4</Col><Value>{value}</Value></Well>{empty}</Layer>"

    layers = layer("Compound", "taxol") + layer("Concentration (nM)", "30")
    text = f'<AssayLayout xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5">{layers}</AssayLayout>'
    (tmp_path / "layout.xml").write_text("\ufeff" + text, encoding="utf-8")
    found = read(tmp_path, "C04", "A02", settings="plate_map: {file: layout.xml}")
    assert row(found, "C04")["Metadata_Perturbation"] == "taxol"
    assert row(found, "C04")["Metadata_Concentration"] == pytest.approx(0.03)
    (tmp_path / "layout.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    with pytest.raises(ConfigurationError, match="XML"):
        read(tmp_path, "C04", settings="plate_map: {file: layout.xml}")


@pytest.mark.parametrize(
    ("header", "text", "unit", "dose"),
    [
        ("dose", "1.5", None, 1.5),
        ("Dose (nM)", "250", "uM", 0.25),
        ("conc_uM", "3", "uM", 3.0),
        ("ConcentrationUM", "3", "uM", 3.0),
        ("concentration [mM]", "0.1", "uM", 100.0),
        ("dose", "10 nM", "uM", 0.01),
        ("dose", "10 µM", "uM", 10.0),
        ("dose", "0,5", None, 0.5),
        ("dose", "2 mg/ml", "mg/ml", 2.0),
        ("dose", "1e-3 M", "uM", 1000.0),
    ],
)
def test_doses_become_micromolar_where_they_are_molar(
    tmp_path: Path, header: str, text: str, unit: str | None, dose: float
) -> None:
    (tmp_path / "platemap.csv").write_text(f'well,compound,{header}\nA01,x,"{text}"\n')
    found = row(read(tmp_path, "A01"), "A01")
    assert found["Metadata_Concentration"] == pytest.approx(dose)
    assert found["Metadata_ConcentrationUnit"] == unit


def test_the_units_of_a_column_and_of_screen_yaml_are_used(tmp_path: Path) -> None:
    (tmp_path / "platemap.csv").write_text("well,dose,unit\nA01,5,nM\nA02,5,uM\n")
    found = read(tmp_path, "A01", "A02")
    assert found.rows["Metadata_Concentration"].to_list() == [0.005, 5.0]
    (tmp_path / "platemap.csv").write_text("well,mmoles_per_liter\nA01,5\n")
    found = read(tmp_path, "A01", settings="plate_map: {unit: uM}")
    assert found.rows["Metadata_Concentration"].to_list() == [5.0]


@given(st.floats(0, 1e6, allow_nan=False), st.sampled_from(["pM", "nM", "uM", "µM", "mM", "M"]))
def test_a_dose_reads_back_in_any_unit(number: float, unit: str) -> None:
    parsed = parse_dose(f"{number!r} {unit}")
    assert parsed == (number, unit)
    factor = {"pM": 1e-6, "nM": 1e-3, "uM": 1, "µM": 1, "mM": 1e3, "M": 1e6}[unit]
    assert normalized(*parsed) == (pytest.approx(number * factor), "uM")


@given(st.text(max_size=30))
def test_any_text_is_a_dose_or_none(text: str) -> None:
    assert parse_dose(text) is None or parse_dose(text)[0] >= 0  # type: ignore[index]
    assert unit_of_header(text) is None or isinstance(unit_of_header(text), str)


@given(st.lists(st.lists(st.text(max_size=4), max_size=30), max_size=40))
def test_any_cells_are_grids_or_none(rows: list[list[str]]) -> None:
    assert isinstance(grids(rows), dict)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("negcon", "negcon"),
        ("Negative Control", "negcon"),
        ("neg-ctrl", "negcon"),
        ("Vehicle", "negcon"),
        ("poscon_cp", "poscon"),
        ("Positive", "poscon"),
        ("sample", "trt"),
        ("", "trt"),
        ("blank", "empty"),
        ("??", None),
    ],
)
def test_control_words_are_recognised(word: str, kind: str | None) -> None:
    assert control_type(word) == kind


def test_a_treatment_says_what_is_a_control_where_no_column_does(tmp_path: Path) -> None:
    (tmp_path / "platemap.csv").write_text(
        "well,compound\nA01,DMSO\nA02,0.1% DMSO\nA03,taxol\nA04,empty\n"
    )
    found = read(tmp_path, "A01", "A02", "A03", "A04")
    assert found.rows["Metadata_ControlType"].to_list() == ["negcon", "negcon", "trt", "empty"]


def test_semicolons_and_byte_order_marks_are_understood(tmp_path: Path) -> None:
    (tmp_path / "platemap.csv").write_bytes("well;compound;dose\nA01;x;0,5\n".encode("utf-16"))
    found = row(read(tmp_path, "A01"), "A01")
    assert (found["Metadata_Perturbation"], found["Metadata_Concentration"]) == ("x", 0.5)
