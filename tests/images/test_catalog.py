"""Every kind of bad file: one problem that names file, plate and well; the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from phenolake.errors import EmptyFolderError
from phenolake.images.catalog import Catalog, catalogue_plate
from phenolake.images.sites import complete_sites
from phenolake.screens.discover import Screen
from plates import blobs, write_screen, write_site

ROLES = ("DNA", "GFP")


def catalogue(folder: Path) -> Catalog:
    screen = Screen.open(folder)
    return catalogue_plate(screen, screen.plates()[0])


def test_a_good_plate_has_every_plane_and_no_problem(tmp_path: Path) -> None:
    found = catalogue(write_screen(tmp_path / "s", sites=2))
    assert found.problems == []
    assert found.rows.height == 4 * 2 * 2
    first = found.rows.row(0, named=True)
    assert (first["Metadata_Well"], first["Metadata_Site"], first["channel"]) == ("A01", 1, "DNA")
    assert (first["height"], first["width"], first["dtype"]) == (128, 128, "uint16")
    assert first["checksum"].startswith("crc32:")
    assert len(complete_sites(found.rows, ROLES)) == 8


def _truncate(plate: Path) -> None:
    path = plate / "A01_s1_w1_DNA.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty_file(plate: Path) -> None:
    (plate / "A01_s1_w1_DNA.tif").write_bytes(b"")


def _not_an_image(plate: Path) -> None:
    (plate / "A01_s1_w1_DNA.tif").write_text("no pixels here")


def _missing_channel(plate: Path) -> None:
    (plate / "A01_s1_w1_DNA.tif").unlink()


def _other_size(plate: Path) -> None:
    tifffile.imwrite(plate / "A01_s1_w1_DNA.tif", blobs(0, size=64))


def _other_dtype(plate: Path) -> None:
    tifffile.imwrite(plate / "A01_s1_w1_DNA.tif", blobs(0, dtype="uint8"))


def _colour(plate: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 9, (128, 128, 3), dtype=np.uint8)
    tifffile.imwrite(plate / "A01_s1_w1_DNA.tif", rgb, photometric="rgb")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (_truncate, "unreadable_image"),
        (_empty_file, "unreadable_image"),
        (_not_an_image, "unreadable_image"),
        (_missing_channel, "missing_channel"),
        (_other_size, "unexpected_size"),
        (_other_dtype, "unexpected_dtype"),
        (_colour, "unreadable_image"),
    ],
)
def test_a_bad_image_takes_only_its_site(
    tmp_path: Path, damage: Callable[[Path], None], problem: str
) -> None:
    folder = write_screen(tmp_path / "s")
    damage(folder / "P1")
    found = catalogue(folder)
    about = [p for p in found.problems if p.problem == problem]
    assert [(p.well, p.site, p.channel) for p in about] == [("A01", 1, "DNA")]
    sentence = about[0].sentence("P1")
    assert "plate P1" in sentence
    assert "well A01" in sentence
    assert [site.well for site in complete_sites(found.rows, ROLES)] == ["A02", "B01", "B02"]


def test_of_two_files_for_one_plane_the_first_is_used_and_the_other_named(tmp_path: Path) -> None:
    folder = write_screen(tmp_path / "s")
    write_site(folder / "P1" / "copy", "A01")
    found = catalogue(folder)
    assert {p.problem for p in found.problems} == {"duplicate_plane"}
    assert all("copy" in str(p.uri) for p in found.problems)
    assert len(complete_sites(found.rows, ROLES)) == 4


def test_a_well_outside_the_plate_is_refused(tmp_path: Path) -> None:
    folder = write_screen(tmp_path / "s", wells=("A01", "P24"))
    found = catalogue(folder)
    assert {(p.problem, p.well) for p in found.problems} >= {("well_outside_plate", "P24")}
    assert found.rows["Metadata_Well"].unique().to_list() == ["A01"]


def test_an_unknown_channel_is_reported_once_with_its_count(tmp_path: Path) -> None:
    folder = write_screen(tmp_path / "s")
    for well in ("A01", "A02"):
        write_site(folder / "P1" / "x", well, channels=("Mystery",))
    found = catalogue(folder)
    assert [(p.problem, p.channel, p.got) for p in found.problems] == [
        ("unknown_channel", "Mystery", "'Mystery' in 2 planes")
    ]


def test_a_file_with_another_name_is_reported(tmp_path: Path) -> None:
    folder = write_screen(tmp_path / "s")
    (folder / "P1" / "thumbnail.tif").write_bytes(b"x")
    assert [p.problem for p in catalogue(folder).problems] == ["unknown_file_name"]


def test_a_folder_without_images_is_said_to_be_empty(tmp_path: Path) -> None:
    write_screen(tmp_path / "s", plates=())
    screen = Screen.open(tmp_path / "s")
    assert screen.plates() == []
    with pytest.raises(EmptyFolderError, match="P1"):
        screen.plate("P1")


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    folder = write_screen(tmp_path / "s")
    outside = write_site(tmp_path / "elsewhere", "B05")
    (folder / "P1" / "B05_s1_w1_DNA.tif").symlink_to(outside[0])
    (folder / "P1" / "more").symlink_to(tmp_path / "elsewhere")
    assert "B05" not in catalogue(folder).rows["Metadata_Well"].to_list()
