"""A plate with every fault we know of: each is one row in quarantine, everything else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile

from plates import blobs, write_screen, write_site
from scenario import Installation, failure_of, installation

# Under ten whole sites: all cells of `plates.py` lie on one grid, which would pass for uneven light.
GOOD = ("A01", "A02")
FAULTY = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10", "B11", "B12")
WITHOUT_CELLS = "C01"
WHERE = {"Metadata_Screen": "faulty", "Metadata_Plate": "P1"}


def image(plate: Path, well: str, number: int = 1) -> Path:
    return plate / f"{well}_s1_w{number}_{('DNA', 'GFP')[number - 1]}.tif"


def damage_pixels(path: Path) -> None:
    """Overwrite the compressed pixels and leave the header as it is."""
    tifffile.imwrite(path, blobs(1), compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = b"\x5a" * count
    path.write_bytes(bytes(data))


def write_faulty(folder: Path) -> Path:
    """Write a plate whose wells B01 to B12 each have one fault."""
    write_screen(folder, wells=(*GOOD, *FAULTY))
    plate = folder / "P1"
    data = image(plate, "B01").read_bytes()
    image(plate, "B01").write_bytes(data[: len(data) // 2])
    image(plate, "B02").write_bytes(b"")
    damage_pixels(image(plate, "B03"))
    image(plate, "B04", 2).unlink()
    data = image(plate, "B05").read_bytes()
    (plate / "again").mkdir()
    (plate / "again" / image(plate, "B05").name).write_bytes(data)
    tifffile.imwrite(image(plate, "B06"), blobs(1, size=96))
    tifffile.imwrite(image(plate, "B07"), blobs(1, dtype="uint8"))
    image(plate, "B08").write_bytes(b"not an image at all")
    write_site(plate, "H13")
    (plate / "scan of the bench.tif").write_bytes(data)
    write_site(plate, "B09", channels=("DNA", "GFP", "Brightfield"))
    for number in (1, 2):
        empty = np.random.default_rng(0).normal(300, 15, (128, 128)).astype(np.uint16)
        tifffile.imwrite(
            plate / f"{WITHOUT_CELLS}_s1_w{number}_{('DNA', 'GFP')[number - 1]}.tif", empty
        )
    lines = (folder / "platemap.csv").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("B10,")]  # imaged, not in the plate map
    lines += ["H12,ghost,1,trt,toxin", f"{WITHOUT_CELLS},killer,9,trt,toxin"]  # H12: not imaged
    lines = [line.replace("B11,", "Z99,") for line in lines]
    lines = [line.replace("drug13,13,trt", "drug13,much,maybe") for line in lines]
    (folder / "platemap.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Installation]:
    root = tmp_path_factory.mktemp("faulty")
    with installation(root / "home") as home:
        home.add(write_faulty(root / "faulty"))
        run = home.run_plate("faulty", "P1")
        assert run.success, failure_of(run)
        yield home


@pytest.fixture(scope="module")
def quarantine(home) -> pl.DataFrame:
    return home.lake.read("quarantine", WHERE)


@pytest.mark.parametrize(
    ("well", "stage", "problem"),
    [
        ("B01", "raw_image_catalog", "unreadable_image"),
        ("B02", "raw_image_catalog", "unreadable_image"),
        ("B03", "segmentation_masks", "unreadable_image"),
        ("B04", "raw_image_catalog", "missing_channel"),
        ("B05", "raw_image_catalog", "duplicate_plane"),
        ("B06", "raw_image_catalog", "unexpected_size"),
        ("B07", "raw_image_catalog", "unexpected_dtype"),
        ("B08", "raw_image_catalog", "unreadable_image"),
        ("B10", "plate_map", "well_without_plate_map"),
        ("H12", "plate_map", "well_without_image"),
        ("H13", "raw_image_catalog", "well_outside_plate"),
        ("B12", "plate_map", "bad_concentration"),
        ("B12", "plate_map", "unknown_control_type"),
        ("Z99", "plate_map", "bad_well_name"),
        (WITHOUT_CELLS, "segmentation_masks", "no_cells"),
    ],
)
def test_a_fault_is_one_row_that_names_file_and_well(quarantine, well, stage, problem):
    rows = quarantine.filter(
        pl.col("Metadata_Well") == well, pl.col("stage") == stage, pl.col("problem") == problem
    )
    per_file = rows.select("uri").n_unique()
    assert rows.height == per_file == (2 if well == "H13" else 1)
    row = rows.row(0, named=True)
    if problem not in ("missing_channel", "no_cells"):
        name = "platemap.csv" if stage == "plate_map" else f"{well}_s1"
        assert name in Path(row["uri"]).name
    assert row["expected"]
    assert row["got"]
    assert row["advice"].endswith(".")


def test_a_file_that_is_no_plane_and_a_channel_nobody_asked_for_are_rows_too(quarantine):
    strange = quarantine.filter(pl.col("uri").str.ends_with("scan of the bench.tif"))
    assert strange.height == 1
    unknown = quarantine.filter(pl.col("problem") == "unknown_channel")
    assert unknown["channel"].to_list() == ["Brightfield"]


def test_sites_without_a_fault_are_processed_to_the_end(home):
    profiles = home.lake.read("well_profiles", WHERE)
    counts = dict(profiles.select("Metadata_Well", "Metadata_CellCount").iter_rows())
    whole = {*GOOD, "B05", "B09", "B10", "B11", "B12"}
    assert counts == dict.fromkeys(sorted(whole), 9)
    assert profiles.select("Metadata_Well", "Metadata_Perturbation").filter(
        pl.col("Metadata_Perturbation").is_null()
    )["Metadata_Well"].to_list() == ["B10", "B11"]


def test_no_faultless_well_is_in_quarantine(quarantine):
    assert set(quarantine["Metadata_Well"].drop_nulls()) & {*GOOD, "B09"} == set()


def test_a_site_without_cells_keeps_its_empty_masks(home):
    masks = home.lake.read("segmentation_masks", WHERE).filter(
        pl.col("Metadata_Well") == WITHOUT_CELLS
    )
    assert sorted(masks["compartment"]) == ["Cells", "Cytoplasm", "Nuclei"]
    assert masks["object_count"].to_list() == [0, 0, 0]


def test_mending_the_files_empties_the_quarantine_of_that_stage(home, tmp_path):
    folder = write_screen(tmp_path / "mended")
    good = image(folder / "P1", "A01").read_bytes()
    image(folder / "P1", "A01").write_bytes(good[:100])
    home.add(folder)
    where = {"Metadata_Screen": "mended", "Metadata_Plate": "P1"}
    assert home.run_plate("mended", "P1").success
    assert home.lake.read("quarantine", where).height > 0
    assert home.lake.read("well_profiles", where).height == 3
    image(folder / "P1", "A01").write_bytes(good)
    assert home.run_plate("mended", "P1").success
    assert home.lake.read("quarantine", where).height == 0
    assert home.lake.read("well_profiles", where).height == 4


def test_checks_point_at_the_quarantine_and_do_not_fail_the_run(home):
    run = home.run_plate("faulty", "P1")
    checks = {check.check_name: check for check in run.get_asset_check_evaluations()}
    assert run.success
    assert not checks["no_plane_refused"].passed
    assert not checks["every_site_segmented"].passed
    assert "unreadable_image" in checks["no_plane_refused"].metadata["problems"].value


def test_an_unknown_channel_role_in_screen_yaml_names_file_and_role(tmp_path):
    with installation(tmp_path / "home") as home:
        folder = write_screen(tmp_path / "gfp", wells=("A01",))
        home.add(folder)
        (folder / "screen.yaml").write_text("preset: nuclear_translocation\nnuclei_channel: DNX\n")
        sentence = failure_of(home.run_plate("gfp", "P1"))
    assert sentence.startswith(str(folder / "screen.yaml"))
    assert "'DNX'" in sentence
    assert "Did you mean 'DNA'?" in sentence


def test_a_plate_whose_images_vanished_says_which_folder_is_empty(tmp_path):
    with installation(tmp_path / "home") as home:
        folder = write_screen(tmp_path / "gfp", wells=("A01",))
        home.add(folder)
        for path in (folder / "P1").iterdir():
            path.unlink()
        run = home.run_plate("gfp", "P1")
        assert str(folder / "P1") in failure_of(run)
        assert home.lake.tables() == []


def test_a_plate_of_which_no_image_can_be_used_ends_with_empty_tables(tmp_path):
    with installation(tmp_path / "home") as home:
        folder = write_screen(tmp_path / "gfp", wells=("A01", "A02"))
        for path in (folder / "P1").iterdir():
            path.write_bytes(path.read_bytes()[:64])
        home.add(folder)
        run = home.run_plate("gfp", "P1")
        refused = home.lake.read("quarantine").filter(pl.col("stage") == "raw_image_catalog")
        assert refused["problem"].value_counts().rows() == [("unreadable_image", 4)]
        assert run.success, failure_of(run)
        assert home.lake.read("well_profiles").height == 0


def test_wells_that_all_have_no_cells_end_with_empty_profiles(tmp_path):
    with installation(tmp_path / "home") as home:
        folder = write_screen(tmp_path / "gfp", wells=("A01", "A02"))
        for path in (folder / "P1").iterdir():
            tifffile.imwrite(path, np.full((128, 128), 300, np.uint16))
        home.add(folder)
        run = home.run_plate("gfp", "P1")
        assert run.success, failure_of(run)
        assert home.lake.read("single_cell_features").height == 0
        assert home.lake.read("well_profiles").height == 0


def test_a_plate_without_plate_map_is_measured_and_says_what_is_missing(tmp_path):
    with installation(tmp_path / "home") as home:
        home.add(write_screen(tmp_path / "gfp", wells=("A01",), plate_map=None))
        run = home.run_plate("gfp", "P1")
        assert home.lake.read("single_cell_features").height == 9
        assert "no_plate_map" in home.lake.read("quarantine")["problem"].to_list()
        failed = {event.step_key for event in run.all_events if event.is_step_failure}
        assert failed <= {"normalized_profiles"}
