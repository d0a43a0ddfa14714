"""What is known of the real folders under vendor_layouts, as one table of facts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from phenolake.cli.inspect import PlateFacts, inspect_folder, plate_facts
from phenolake.images.catalog import Catalog, catalogue_plate
from phenolake.images.readers import detect_reader
from phenolake.screens.discover import Screen
from phenolake.screens.proposal import propose

# folder, reader, plate, wells, sites, channels, z, t, pixel size, planes, missing
GOLDEN = [
    (
        "CV8000",
        "cellvoyager",
        96,
        "D08 E03 F08",
        12,
        {"405 BP445/45", "488 BP525/50"},
        4,
        1,
        0.325,
        96,
        0,
    ),
    ("Operetta", "operetta", 384, "C03", 2, {"Fluorescein (FITC)"}, 1, 1, 1.19595, 2, 0),
    (
        "ImageXpress/SingleChannel",
        "imagexpress",
        96,
        "E07 E08",
        4,
        {"FITC_05"},
        2,
        1,
        1.3668,
        12,
        36,
    ),
    (
        "ImageXpress/1well-3C-2S-Zmix-T",
        "imagexpress",
        96,
        "C07",
        2,
        {"FITC", "Cy3", "Texas Red"},
        1,
        2,
        13.5504,
        12,
        0,
    ),
    (
        "ImageXpress_exported",
        "imagexpress",
        96,
        "B02 B03",
        4,
        {"DAPI", "FITC", "Texas Red"},
        2,
        1,
        1.3672,
        36,
        28,
    ),
    (
        "ImageXpress_exported/9987_Plate_3434",
        "imagexpress",
        96,
        "B02 B03",
        4,
        {"DAPI", "FITC", "Texas Red"},
        2,
        1,
        1.3672,
        36,
        28,
    ),
    ("Cellomics", "cellomics", 96, "A01", 1, {"d0"}, 1, 1, 1.29, 1, 0),
    ("MetaMorph", "metamorph", 384, "P24", 1, {"Cy5"}, 1, 1, 0.645, 1, 0),
]


def catalogue(folder: Path) -> Catalog:
    screen = Screen.open(folder)
    plates = screen.plates()
    assert len(plates) == 1
    return catalogue_plate(Screen(screen.folder, propose(screen, plates)), plates[0])


@pytest.mark.parametrize("expected", GOLDEN, ids=[row[0] for row in GOLDEN])
def test_every_vendor_folder_is_known_without_configuration(
    shared_data: Path, expected: tuple
) -> None:
    name, reader, plate, wells, sites, channels, z, t, pixel_size, planes, missing = expected
    found = catalogue(shared_data / "vendor_layouts" / name)
    facts = plate_facts(found)
    assert isinstance(facts, PlateFacts)
    assert (facts.reader, facts.plate_wells, " ".join(facts.wells)) == (reader, plate, wells)
    assert (facts.sites, facts.z, facts.t, facts.planes, facts.missing) == (
        sites,
        z,
        t,
        planes,
        missing,
    )
    assert set(found.rows["channel_name"]) == channels
    assert facts.pixel_size_um == pytest.approx(pixel_size, rel=1e-4)
    assert detect_reader(shared_data / "vendor_layouts" / name).reader == reader


def test_the_same_planes_enter_the_catalogue_of_an_undescribed_screen(shared_data: Path) -> None:
    for name, *_, planes, _missing in GOLDEN:
        screen = Screen.open(shared_data / "vendor_layouts" / name)
        assert catalogue_plate(screen, screen.plates()[0], "none").rows.height == planes


def test_a_folder_of_several_instruments_is_one_plate_per_acquisition(shared_data: Path) -> None:
    screen = Screen.open(shared_data / "vendor_layouts")
    plates = screen.plates()
    assert len(plates) == 7
    readers = Counter(detect_reader(plate.folder).reader for plate in plates)
    assert readers == {
        "imagexpress": 3,
        "cellvoyager": 1,
        "operetta": 1,
        "cellomics": 1,
        "metamorph": 1,
    }


def test_inspect_prints_the_facts_and_fails_on_missing_planes(
    shared_data: Path, capsys: pytest.CaptureFixture
) -> None:
    assert inspect_folder(shared_data / "vendor_layouts" / "CV8000") in (0, 1)
    printed = capsys.readouterr().out
    assert "cellvoyager" in printed
    assert "96-well plate, 3 wells (D08, E03, F08), 12 sites" in printed
    assert "4 z, 1 t, 2000 x 2000 uint16, 0.325 um/pixel, 96 planes" in printed
    assert inspect_folder(shared_data / "vendor_layouts" / "ImageXpress_exported") == 1
    assert "28 missing" in capsys.readouterr().out


def test_cellvoyager_facts_reach_the_catalogue_and_correction_images_do_not(
    shared_data: Path,
) -> None:
    rows = catalogue(shared_data / "vendor_layouts" / "CV8000").rows
    assert not [uri for uri in rows["uri"] if "/DC_" in uri or "/SC_" in uri]
    first = rows.row(0, named=True)
    assert (first["excitation_nm"], first["emission_nm"], first["exposure_ms"]) == (
        405.0,
        445.0,
        100.0,
    )
    assert (first["z_step_um"], first["stage_x_um"], first["instrument"]) == (3.0, -567.1, "CV8000")
    assert first["acquired_at"].isoformat() == "2023-09-18T11:58:44.438000+00:00"


def test_copies_of_a_projection_in_the_stack_are_marked_as_such(shared_data: Path) -> None:
    rows = catalogue(shared_data / "vendor_layouts" / "ImageXpress_exported").rows
    kinds = Counter(rows.select("channel_name", "z", "projection").iter_rows())
    assert (
        kinds[("DAPI", -1, "maximum")] == kinds[("DAPI", 0, None)] == kinds[("DAPI", 1, None)] == 4
    )
    assert kinds[("FITC", 0, "maximum")] == 4
    assert kinds[("Texas Red", 0, None)] == 4


OTHERS = [
    ("cellpainting_6ch_field", "filename_pattern", 1, 6),
    ("nf1_cellpainting_fields", "filename_pattern", 3, 9),
    ("gastruloids_bf_gfp", "filename_pattern", 72, 144),
    ("gastruloids_3d", "filename_pattern", 1, 462),
    ("embryo_timelapse", "filename_pattern", 1, 21),
    ("illumination_row_o", "filename_pattern", 18, 54),
    ("bbbc005_focus_counts", "filename_pattern", 29, 40),
    ("sbs_fkhr_plate", "filename_pattern", 72, 144),
]


@pytest.mark.parametrize(
    ("name", "reader", "wells", "planes"), OTHERS, ids=[row[0] for row in OTHERS]
)
def test_folders_known_by_their_file_names(
    shared_data: Path, name: str, reader: str, wells: int, planes: int
) -> None:
    if not (shared_data / name).is_dir():
        pytest.skip(f"{name} is not beside this checkout")
    screen = Screen.open(shared_data / name)
    found = catalogue_plate(screen, screen.plates()[0], "none")
    assert found.reader == reader
    assert (found.rows["Metadata_Well"].n_unique(), found.rows.height) == (wells, planes)
