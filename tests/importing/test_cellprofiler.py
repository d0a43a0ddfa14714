from __future__ import annotations

import csv
import gzip
import math
import sqlite3
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from importing.exports import (
    CELLS,
    CYTOPLASM,
    IMAGE,
    NUCLEI,
    write_csv,
    write_database,
    write_folder,
)
from phenolake.errors import ImportSourceError
from phenolake.importing import Imported, import_source
from phenolake.importing.compartments import JoinReport, joined_cells
from phenolake.importing.csv_blocks import Faults, number_blocks
from phenolake.importing.land import Options
from phenolake.importing.object_tables import CsvTable
from phenolake.lake import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def only(imported: object) -> Imported:
    (one,) = imported  # type: ignore[misc]
    return one


def cells_of(lake: Lake, plate: str = "P1") -> pl.DataFrame:
    where = {"Metadata_Screen": "S", "Metadata_Plate": plate}
    return lake.read("single_cell_features", where).sort("Metadata_Well", "Metadata_ObjectNumber")


def kinds(imported: Imported) -> list[str]:
    return sorted(problem.problem for problem in imported.problems)


def assert_worked_by_hand(lake: Lake) -> None:
    cells = cells_of(lake)
    assert cells["Metadata_Well"].to_list() == ["A01", "A01", "B02"]
    assert cells["Metadata_Site"].to_list() == [1, 1, 3]
    assert cells["Metadata_ObjectNumber"].to_list() == [1, 2, 1]
    assert cells["Cells_AreaShape_Area"].to_list()[:2] == [100.5, 200.25]
    assert cells["Nuclei_AreaShape_Area"].to_list() == [10, 30, 40]
    assert cells["Cytoplasm_AreaShape_Area"].to_list() == [90.5, 170.25, None]
    assert cells["Metadata_ImportedFrom"].null_count() == 0


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_compartments_become_one_row_per_cell(tmp_path: Path, lake: Lake, suffix: str) -> None:
    imported = only(import_source(lake, write_folder(tmp_path / "export", suffix), "S"))
    assert_worked_by_hand(lake)
    assert math.isnan(cells_of(lake)["Cells_AreaShape_Area"][2])
    assert imported.commit.rows == 3
    assert kinds(imported) == ["nuclei_without_cell"]
    assert "none for 1: 2" in str(imported.problems[0].got)


@pytest.mark.parametrize("per", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
def test_databases_of_both_kinds_hold_the_same_cells(
    tmp_path: Path, lake: Lake, per: bool, reverse: bool
) -> None:
    database = write_database(tmp_path / "export.sqlite", per=per, reverse=reverse)
    assert kinds(only(import_source(lake, database, "S"))) == ["nuclei_without_cell"]
    assert_worked_by_hand(lake)


def test_a_csv_with_two_header_rows_holds_all_compartments(tmp_path: Path, lake: Lake) -> None:
    groups = ["Image", *["Cells"] * 4, *["Nuclei"] * 1, *["Cytoplasm"] * 2]
    names = [*CELLS[0], "AreaShape_Area", "AreaShape_Area", "Parent_Cells"]
    rows = [[1, 1, 100.5, 1, 1, 10, 90.5, 1], [1, 2, 200.25, 2, 2, 20, 170.25, 2]]
    write_csv(tmp_path / "export" / "object.csv", [groups, names, *rows])
    write_csv(tmp_path / "export" / "Image.csv", IMAGE[:2])
    only(import_source(lake, tmp_path / "export", "S"))
    cells = cells_of(lake)
    assert cells["Nuclei_AreaShape_Area"].to_list() == [10, 20]
    assert cells["Cytoplasm_AreaShape_Area"].to_list() == [90.5, 170.25]


def test_nuclei_without_a_cell_can_be_kept(tmp_path: Path, lake: Lake) -> None:
    folder = write_folder(tmp_path / "export")
    only(import_source(lake, folder, "S", options=Options(unmatched="keep")))
    cells = cells_of(lake)
    assert cells["Metadata_ObjectNumber"].to_list() == [1, 2, 3, 1]
    assert cells["Nuclei_AreaShape_Area"].to_list() == [10, 30, 20, 40]
    assert cells["Cells_AreaShape_Area"][2] is None


def test_tables_out_of_image_order_are_sorted(tmp_path: Path, lake: Lake) -> None:
    shuffled = [CELLS[0], *reversed(CELLS[1:])]
    only(import_source(lake, write_folder(tmp_path / "export", Cells=shuffled), "S"))
    assert_worked_by_hand(lake)


def test_importing_again_replaces_the_plate(tmp_path: Path, lake: Lake) -> None:
    folder = write_folder(tmp_path / "export")
    first = only(import_source(lake, folder, "S"))
    second = only(import_source(lake, folder, "S"))
    assert cells_of(lake).height == 3
    assert second.commit.version == first.commit.version + 1
    problems = lake.read("quarantine", {"Metadata_Plate": "P1"})
    assert problems["problem"].to_list() == ["nuclei_without_cell"]


def test_the_commit_names_the_source(tmp_path: Path, lake: Lake) -> None:
    folder = write_folder(tmp_path / "export")
    only(import_source(lake, folder, "S"))
    assert str(folder) in lake.history("single_cell_features")[0]["phenolake_parameters"]


def test_defective_sites_are_reported_and_the_others_imported(tmp_path: Path, lake: Lake) -> None:
    root = tmp_path / "export"
    for number, name in enumerate(["A01-1", "A02-1", "A03-1", "A04-1", "A05-1"], start=1):
        image = [IMAGE[0], [1, "P1", name[:3], 1]]
        write_folder(
            root / name, Image=image, Cells=CELLS[:3], Nuclei=NUCLEI[:4], Cytoplasm=CYTOPLASM[:3]
        )
        assert number
    (root / "A02-1" / "Cells.csv").write_bytes(b"")
    write_csv(root / "A03-1" / "Image.csv", IMAGE[:1])
    write_csv(root / "A04-1" / "Cells.csv", [CELLS[0], [1, 1, 100.5], CELLS[2]])
    (root / "A05-1" / "Nuclei.csv").unlink()
    imported = only(import_source(lake, root, "S"))
    assert cells_of(lake)["Metadata_Well"].to_list() == ["A01", "A01", "A04"]
    found = {(p.problem, p.well) for p in imported.problems}
    assert {
        ("empty_file", "A02"),
        ("empty_table", "A03"),
        ("malformed_rows", "A04"),
        ("missing_table", "A05"),
    } <= found
    assert lake.read("quarantine")["problem"].n_unique() >= 4


def test_a_truncated_gzip_loses_its_site_only(tmp_path: Path, lake: Lake) -> None:
    root = tmp_path / "export"
    for name in ("A01-1", "A02-1"):
        write_folder(root / name, ".csv.gz", Image=[IMAGE[0], [1, "P1", name[:3], 1]],
                     Cells=CELLS[:3], Nuclei=NUCLEI[:4], Cytoplasm=CYTOPLASM[:3])  # fmt: skip
    file = root / "A02-1" / "Nuclei.csv.gz"
    file.write_bytes(file.read_bytes()[:-12])
    imported = only(import_source(lake, root, "S"))
    assert set(cells_of(lake)["Metadata_Well"]) == {"A01"}
    assert "unreadable_table" in kinds(imported)


def test_schema_drift_is_merged_by_name_and_reported(tmp_path: Path, lake: Lake) -> None:
    root = tmp_path / "export"
    for well in ("A01", "A02", "A03"):
        write_folder(root / f"{well}-1", Image=[IMAGE[0], [1, "P1", well, 1]],
                     Cells=CELLS[:3], Nuclei=NUCLEI[:4], Cytoplasm=CYTOPLASM[:3])  # fmt: skip
    other = [
        [
            "ImageNumber",
            "ObjectNumber",
            "AreaShape_Perimeter",
            "Parent_Nuclei",
            "Number_Object_Number",
        ]
    ]
    write_csv(root / "A02-1" / "Cells.csv", [*other, [1, 1, 7.5, 1, 1]])
    imported = only(import_source(lake, root, "S"))
    cells = cells_of(lake).filter(pl.col("Metadata_Well") == "A02")
    assert cells["Cells_AreaShape_Area"].to_list() == [None]
    assert cells["Cells_AreaShape_Perimeter"].to_list() == [7.5]
    drift = {p.problem: str(p.got) for p in imported.problems if p.well == "A02"}
    assert "lacks 1: AreaShape_Area" in drift["missing_columns"]
    assert "adds 1: AreaShape_Perimeter" in drift["extra_columns"]


def test_one_export_of_two_plates_becomes_two_partitions(tmp_path: Path, lake: Lake) -> None:
    image = [IMAGE[0], IMAGE[1], [2, "P2", "B02", 3]]
    first, second = import_source(lake, write_folder(tmp_path / "export", Image=image), "S")
    assert (first.key.plate, first.commit.rows) == ("P1", 2)
    assert (second.key.plate, second.commit.rows) == ("P2", 1)
    assert "image_not_listed" not in kinds(first) + kinds(second)


def test_text_in_a_number_column_is_null_and_reported(tmp_path: Path, lake: Lake) -> None:
    cells = [CELLS[0], [1, 1, "broken", 1, 1], *CELLS[2:]]
    imported = only(import_source(lake, write_folder(tmp_path / "export", Cells=cells), "S"))
    assert cells_of(lake)["Cells_AreaShape_Area"].to_list()[:2] == [None, 200.25]
    assert "not_a_number" in kinds(imported)


def test_a_damaged_database_is_one_clear_error(tmp_path: Path, lake: Lake) -> None:
    path = write_database(tmp_path / "export.sqlite", per=True)
    path.write_bytes(b"SQLite format 3\0" + b"x" * 500)
    with pytest.raises(ImportSourceError, match=r"no readable SQLite database"):
        list(import_source(lake, path, "S"))


def test_a_database_of_something_else_is_one_clear_error(tmp_path: Path, lake: Lake) -> None:
    with sqlite3.connect(tmp_path / "x.sqlite") as connection:
        connection.execute("create table songs (title)")
    with pytest.raises(ImportSourceError, match="songs"):
        list(import_source(lake, tmp_path / "x.sqlite", "S"))


def test_a_folder_without_tables_is_one_clear_error(tmp_path: Path, lake: Lake) -> None:
    with pytest.raises(ImportSourceError, match="nothing to import"):
        list(import_source(lake, tmp_path, "S"))


@given(
    st.lists(
        st.lists(st.floats(allow_nan=False), min_size=3, max_size=3),
        min_size=1,
        max_size=40,
    ),
    st.integers(20, 400),
)
@settings(max_examples=40, deadline=None)
def test_blocks_of_any_size_give_the_same_numbers(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]], block: int
) -> None:
    path = write_csv(tmp_path_factory.mktemp("csv") / "t.csv", [["a", "b", "c"], *rows])
    blocks = number_blocks(path, ["a", "b", "c"], 1, Faults(), lambda t: t, block_bytes=block)
    table = pa.concat_tables(blocks)
    expected = np.array(rows)
    got = np.stack([table.column(i).to_numpy() for i in range(3)], axis=1)
    np.testing.assert_array_equal(got, expected)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_streaming_in_small_blocks_joins_as_a_plain_join_does(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Naive reference: one polars join over whole tables."""
    folder = tmp_path_factory.mktemp("csv")
    counts = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=6))
    nuclei = [[i, o, i * 100 + o] for i, n in enumerate(counts, 1) for o in range(1, n + 1)]
    keep = data.draw(st.lists(st.booleans(), min_size=len(nuclei), max_size=len(nuclei)))
    cells: list[list[int]] = []
    for (image, number, _), kept in zip(nuclei, keep, strict=True):
        if kept:
            own = 1 + sum(row[0] == image for row in cells)
            cells.append([image, own, number])
    tables = {}
    for name, header, rows in (
        ("Cells", ["ImageNumber", "ObjectNumber", "Parent_Nuclei"], cells),
        ("Nuclei", ["ImageNumber", "ObjectNumber", "V"], nuclei),
    ):
        path = write_csv(folder / f"{name}.csv", [header, *rows])  # type: ignore[list-item]
        tables[name] = _SmallBlocks(name, path, tuple(header))
    report = JoinReport()
    frames = list(joined_cells(tables, set(range(1, len(counts) + 1)), report))
    got = [
        (r["image"], r["Metadata_ObjectNumber"], r["Nuclei_V"])
        for f in frames
        for r in f.table().to_pylist()
    ]
    value = {(image, number): v for image, number, v in nuclei}
    assert got == [(image, own, value[image, parent]) for image, own, parent in cells]
    lost = sum(len(n) for by in report.without_cell.values() for n in by.values())
    assert lost == keep.count(False)


class _SmallBlocks(CsvTable):
    def frames(self, *, in_order: bool = False):
        for frame in super().frames(in_order=in_order):
            for start in range(0, frame.height, 2):
                yield frame.slice(start, 2)


def test_values_of_a_real_export_are_those_of_the_source(shared_data: Path, lake: Lake) -> None:
    source = shared_data / "cellprofiler_exports" / "cpg0043_BR00116991-A01-1"
    only(import_source(lake, source, "S"))
    cells = lake.read("single_cell_features").sort("Metadata_ObjectNumber")
    assert cells.height == 109
    for compartment in ("Cells", "Cytoplasm", "Nuclei"):
        with gzip.open(source / f"{compartment}.csv.gz", "rt") as file:
            rows = list(csv.DictReader(file))
        for name in rows[0]:
            ours = f"{compartment}_{name}"
            if ours in cells.columns:
                expected = np.array([row[name] or "nan" for row in rows], np.float64).astype(
                    np.float32
                )
                got = cells[ours].cast(pl.Float32).fill_null(float("nan")).to_numpy()
                np.testing.assert_array_equal(got, expected, err_msg=ours)


def test_the_real_defective_folder_reports_its_three_sites(shared_data: Path, lake: Lake) -> None:
    source = shared_data / "cellprofiler_exports" / "cytominer_database" / "data_b"
    imported = only(import_source(lake, source, "S"))
    assert set(lake.read("single_cell_features")["Metadata_Well"]) == {"A01", "B01"}
    assert {p.well for p in imported.problems} == {"E17", "J21", "N23"}


def test_a_real_database_reports_its_nuclei_without_cell(shared_data: Path, lake: Lake) -> None:
    source = shared_data / "cellprofiler_exports" / "nf1_all_cellprofiler.sqlite"
    imported = only(import_source(lake, source, "S"))
    assert imported.commit.rows == 242
    lost = [int(str(p.got).split()[2].rstrip(":")) for p in imported.problems]
    assert sum(lost) == 433 - 242


def test_a_table_broken_in_its_middle_keeps_the_images_before(tmp_path: Path, lake: Lake) -> None:
    folder = write_folder(tmp_path / "export")
    rows = [[image, 1, 1.0] for image in range(1, 40_000)]
    write_csv(folder / "Cells.csv", [["ImageNumber", "ObjectNumber", "V"], *rows])
    (folder / "Nuclei.csv").unlink()
    write_csv(folder / "Nuclei.csv.gz", [["ImageNumber", "ObjectNumber", "V"], *rows])
    (folder / "Cytoplasm.csv").unlink()
    file = folder / "Nuclei.csv.gz"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    image = [
        IMAGE[0],
        *([n, "P1", f"{'ABCDEFGH'[n % 8]}{n % 12 + 1}", n] for n in range(1, 40_000)),
    ]
    write_csv(folder / "Image.csv", image)
    imported = only(import_source(lake, folder, "S"))
    assert imported.commit.rows in range(40_000)
    assert "unreadable_table" in kinds(imported)


@pytest.mark.parametrize("name", ["Cells.csv", "Nuclei.csv"])
@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"ImageNumber\r,x", b"ImageNumber,ObjectNumber\n\xff", b"\0"]
)
def test_a_table_of_rubbish_loses_its_site_only(
    tmp_path: Path, lake: Lake, name: str, content: bytes
) -> None:
    root = tmp_path / "export"
    for well in ("A01", "A02", "A03"):
        write_folder(root / f"{well}-1", Image=[IMAGE[0], [1, "P1", well, 1]],
                     Cells=CELLS[:3], Nuclei=NUCLEI[:4], Cytoplasm=CYTOPLASM[:3])  # fmt: skip
    (root / "A02-1" / name).write_bytes(content)
    only(import_source(lake, root, "S"))
    assert {"A01", "A03"} <= set(cells_of(lake)["Metadata_Well"])


def test_a_database_of_two_tables_in_another_order_than_its_images(
    tmp_path: Path, lake: Lake
) -> None:
    path = tmp_path / "P1.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("create table Image (TableNumber, ImageNumber, Image_Metadata_Well)")
        connection.executemany("insert into Image values (?, 1, ?)", [("b", "A01"), ("a", "B01")])
        connection.execute("create table Cells (TableNumber, ImageNumber, ObjectNumber, Cells_V)")
        rows = [("a", 1, 1, 5.0), ("b", 1, 1, 6.0), ("a", 1, 2, 7.0)]
        connection.executemany("insert into Cells values (?, ?, ?, ?)", rows)
    only(import_source(lake, path, "S"))
    cells = cells_of(lake)
    assert cells["Metadata_Well"].to_list() == ["A01", "B01", "B01"]
    assert cells["Cells_V"].to_list() == [6.0, 5.0, 7.0]


def test_a_database_whose_images_have_no_number_is_one_clear_error(
    tmp_path: Path, lake: Lake
) -> None:
    with sqlite3.connect(write_database(tmp_path / "x.sqlite", per=False)) as connection:
        connection.execute("alter table Image rename ImageNumber to Number")
    with pytest.raises(ImportSourceError, match="no column ImageNumber"):
        list(import_source(lake, tmp_path / "x.sqlite", "S"))


def test_a_second_header_row_that_is_shorter_loses_columns_only(tmp_path: Path, lake: Lake) -> None:
    folder = tmp_path / "A01-1"
    lines = ["Image,Cells,Cells,Cells", "ImageNumber,ObjectNumber,V", "1,1,2.5", "1,2,3.5"]
    folder.mkdir()
    (folder / "object.csv").write_text("\n".join(lines) + "\n")
    write_csv(folder / "Image.csv", IMAGE[:2])
    only(import_source(lake, folder, "S"))
    assert cells_of(lake)["Cells_V"].to_list() == [2.5, 3.5]
