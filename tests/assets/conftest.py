"""One installation with two screens of different channels, run once for all tests of assets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from plates import WELLS, write_screen, write_site
from scenario import Installation, installation

PAINT = ("DNA", "ER", "RNA", "AGP", "Mito")


@dataclass(frozen=True)
class Materialized:
    """An installation after its runs, and the runs by what they were for."""

    home: Installation
    runs: dict[str, dg.ExecuteInProcessResult]


def write_paint(folder: Path) -> Path:
    """Write a cell_painting screen of one plate."""
    write_screen(folder, plates=(), preset="cell_painting")
    for well in WELLS:
        write_site(folder / "P1", well, channels=PAINT)
    return folder


@pytest.fixture(scope="session")
def materialized(tmp_path_factory) -> Iterator[Materialized]:
    root = tmp_path_factory.mktemp("materialized")
    with installation(root / "home") as home:
        home.add(write_screen(root / "gfp", plates=("P1", "P2")))
        home.add(write_paint(root / "paint"))
        plates = [("gfp", "P1"), ("gfp", "P2"), ("paint", "P1")]
        runs = {f"{screen}__{plate}": home.run_plate(screen, plate) for screen, plate in plates}
        runs |= {screen: home.run_screen(screen) for screen in ("gfp", "paint")}
        yield Materialized(home, runs)
