from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from phenolake.cli.verify import verify_files
from phenolake.errors import ConfigurationError
from phenolake.images.catalog import catalogue_plate
from phenolake.images.verification import differences
from phenolake.lake import Lake
from phenolake.screens.discover import Screen
from phenolake.tables import RAW_IMAGE_CATALOG
from plates import write_screen


@pytest.fixture
def catalogued(tmp_path: Path) -> tuple[Path, pl.DataFrame]:
    screen = Screen.open(write_screen(tmp_path / "s", wells=("A01", "A02")))
    plate = screen.plates()[0]
    return plate.folder, catalogue_plate(screen, plate).rows


def damage(folder: Path) -> None:
    """One file shorter, one with another byte, one gone."""
    first, second, third, _ = sorted(folder.glob("*.tif"))
    first.write_bytes(first.read_bytes()[:-1])
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 1
    second.write_bytes(content)
    third.unlink()


def test_unchanged_files_do_not_differ(catalogued: tuple[Path, pl.DataFrame]) -> None:
    assert list(differences(catalogued[1])) == []


def test_each_kind_of_change_is_one_line(catalogued: tuple[Path, pl.DataFrame]) -> None:
    folder, rows = catalogued
    damage(folder)
    assert [found.what for found in differences(rows)] == ["size", "checksum", "missing"]
    assert [found.what for found in differences(rows, sizes_only=True)] == ["size", "missing"]
    assert all(str(folder) in found.sentence() for found in differences(rows))


def test_a_file_replaced_by_a_link_differs(
    catalogued: tuple[Path, pl.DataFrame], tmp_path: Path
) -> None:
    folder, rows = catalogued
    first = min(folder.glob("*.tif"))
    first.rename(tmp_path / "moved.tif")
    first.symlink_to(tmp_path / "moved.tif")
    assert [found.what for found in differences(rows)] == ["replaced"]


def test_without_checksums_sizes_are_compared(tmp_path: Path) -> None:
    screen = Screen.open(write_screen(tmp_path / "s", wells=("A01", "A02"), checksum="none"))
    rows = catalogue_plate(screen, screen.plates()[0]).rows
    assert rows["checksum"].null_count() == rows.height
    damage(screen.plates()[0].folder)
    assert [found.what for found in differences(rows)] == ["size", "missing"]


def test_the_command_prints_a_line_per_difference_and_fails(
    catalogued: tuple[Path, pl.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, rows = catalogued
    monkeypatch.setenv("PHENOLAKE_HOME", str(tmp_path / "home"))
    Lake(str(tmp_path / "home" / "tables")).write(
        RAW_IMAGE_CATALOG, rows, {"Metadata_Screen": "s", "Metadata_Plate": "P1"}
    )
    assert verify_files("s", "P1") == 0
    damage(folder)
    capsys.readouterr()
    assert verify_files(None, None) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[-1] == "4 files checked, 3 differ from the catalogue"
    with pytest.raises(ConfigurationError, match="no plane"):
        verify_files("other", None)
