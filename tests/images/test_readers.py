from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from phenolake.errors import ConfigurationError, EmptyFolderError, UnknownNameError
from phenolake.images.planes import Plane, Problem
from phenolake.images.readers import detect_reader, reader_named
from phenolake.images.readers.filename_pattern import FilenamePattern
from plates import write_site


def planes(folder: Path, pattern: str | None = None) -> list[Plane]:
    found = list(FilenamePattern(pattern).planes(folder))
    assert all(isinstance(item, Plane) for item in found)
    return [item for item in found if isinstance(item, Plane)]


@pytest.mark.parametrize(
    ("name", "well", "site", "channel"),
    [
        ("B03_s2_w1_DNA.tif", "B03", 2, "DNA"),
        ("r03c05f07p01-ch2sk1fk1fl1.tiff", "C05", 7, "2"),
        ("Channel1-31-C-07.tif", "C07", 1, "1"),
        ("AS_09047_050428030001_O12f03d2.TIF", "O12", 3, "2"),
    ],
)
def test_common_names_are_understood_without_configuration(
    tmp_path: Path, name: str, well: str, site: int, channel: str
) -> None:
    (tmp_path / name).write_bytes(b"x")
    (plane,) = planes(tmp_path)
    assert (plane.well.name, plane.site, plane.channel) == (well, site, channel)


def test_a_pattern_may_look_at_folders(tmp_path: Path) -> None:
    (tmp_path / "C04" / "site_3").mkdir(parents=True)
    (tmp_path / "C04" / "site_3" / "dapi.tif").write_bytes(b"x")
    pattern = r"(?P<well>[A-H]\d\d)/site_(?P<site>\d)/(?P<channel>\w+)\.tif"
    (plane,) = planes(tmp_path, pattern)
    assert (plane.well.name, plane.site, plane.channel) == ("C04", 3, "dapi")


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "no regular expression"),
        (r"(?P<site>\d)", "needs a group `well`"),
        (r"(?P<wel>\d)", "unknown groups"),
    ],
)
def test_a_bad_pattern_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        FilenamePattern(pattern)


@given(
    st.text(
        st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]),
        min_size=1,
        max_size=60,
    )
)
def test_any_file_name_is_a_plane_or_a_problem(name: str) -> None:
    reader = FilenamePattern(r"(?P<row>\w)(?P<column>\d+)_(?P<channel>.)\.tif")
    item = reader._plane(reader._pattern, Path("/x") / name, name)  # type: ignore[arg-type]
    assert isinstance(item, Plane | Problem)


def test_ome_tiff_gives_channels_pixel_size_and_well_from_its_name(tmp_path: Path) -> None:
    stack = np.zeros((2, 3, 16, 16), np.uint16)
    metadata = {
        "axes": "CZYX",
        "Channel": {"Name": ["DNA", "GFP"]},
        "PhysicalSizeX": 0.5,
        "PhysicalSizeXUnit": "µm",
    }
    tifffile.imwrite(tmp_path / "scan_B07_s4_.ome.tif", stack, metadata=metadata)
    detection = detect_reader(tmp_path)
    assert detection.reader == "ome_tiff"
    found = list(reader_named("ome_tiff").planes(tmp_path))
    assert len(found) == 6
    assert {(p.well.name, p.site, p.channel, p.z, p.pixel_size_um) for p in found} == {  # type: ignore[union-attr]
        ("B07", 4, channel, z, 0.5) for channel in ("DNA", "GFP") for z in range(3)
    }
    order = {(p.channel, p.z): p.index_in_file for p in found}  # type: ignore[union-attr]
    assert order[("DNA", 0)] == 0
    assert order[("GFP", 2)] == 5


def test_ome_xml_with_an_entity_bomb_is_a_problem(tmp_path: Path) -> None:
    bomb = (
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><OME>&b;</OME>'
    )
    tifffile.imwrite(
        tmp_path / "A01.tif", np.zeros((4, 4), np.uint8), description=bomb, metadata=None
    )
    (item,) = reader_named("ome_tiff").planes(tmp_path)
    assert isinstance(item, Problem)


def test_files_without_a_known_name_are_an_empty_folder_for_detection(tmp_path: Path) -> None:
    (tmp_path / "holiday.png").write_bytes(b"x")
    with pytest.raises(EmptyFolderError, match="known file names"):
        detect_reader(tmp_path)


def test_an_unknown_reader_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="ome_tiff"):
        reader_named("ome_tif")


def test_the_real_plate_is_recognised(shared_data: Path) -> None:
    folder = shared_data / "sbs_fkhr_plate" / "images"
    found = planes(folder)
    assert len(found) == 144
    assert {plane.well.name[0] for plane in found} == set("ABCEFG")


def test_hidden_and_truth_files_are_left_out(tmp_path: Path) -> None:
    write_site(tmp_path, "A01")
    write_site(tmp_path / "_truth", "A02")
    (tmp_path / "._A01_s1_w1_DNA.tif").write_bytes(b"x")
    assert {plane.well.name for plane in planes(tmp_path)} == {"A01"}
