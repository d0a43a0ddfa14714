"""A written screen: every file there, readable by its own configuration, equal on repetition."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
import tifffile

from phenolake.compute import LocalCompute
from phenolake.errors import ConfigurationError
from phenolake.images.catalog import catalogue_plate
from phenolake.screens.config import load_screen_config
from phenolake.screens.discover import Screen
from phenolake.screens.plate_map import read_plate_map
from phenolake.simulation import PATTERN, SimulationPlan, simulate_screen, simulate_site, true_wells

PLAN = SimulationPlan(plates=2, batches=2, sites=2, size=96, wells_used=12, seed=9, name="tiny")


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inbox") / "tiny"
    simulate_screen(PLAN, folder)
    return folder


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_every_well_site_and_channel_is_written(screen):
    for plate in PLAN.plate_names:
        found = {
            re.fullmatch(PATTERN, path.name).group("well", "site", "channel")
            for path in (screen / plate).glob("*.tif")
        }
        wells = true_wells(PLAN).filter(pl.col("plate") == plate)["well"]
        channels = ("DNA", "ER", "RNA", "AGP", "Mito")
        assert found == {(w, s, c) for w in wells for s in "12" for c in channels}
        assert (screen / plate / "_COMPLETE").exists()


@pytest.mark.parametrize("preset", ["cell_painting", "four_channel_cytotoxicity"])
def test_configuration_loads_and_names_every_channel(tmp_path, preset):
    plan = SimulationPlan(preset=preset, size=64, wells_used=4, name="planned")
    simulate_screen(plan, tmp_path / "any")
    text = (tmp_path / "any" / "screen.yaml").read_text()
    config = load_screen_config(tmp_path / "any" / "screen.yaml", "other")
    assert len(text.splitlines()) <= 20
    assert config.name == "planned"
    assert config.preset == preset
    assert config.roles == config.assay.roles
    assert config.labels == ("moa" if preset == "cell_painting" else "perturbation")
    assert config.plate_map.negative_control == "DMSO"
    table = pl.read_csv(tmp_path / "any" / config.plate_map.file)
    assert set(config.plate_map.columns.values()) == set(table.columns)


def test_files_hold_what_simulate_site_returns(screen):
    field = simulate_site(PLAN, "P02", "B03", 2)
    image = np.stack(
        [tifffile.imread(path) for path in sorted((screen / "P02").glob("B03_s2_*.tif"))]
    )
    assert image.dtype == np.uint16
    assert np.array_equal(image, field.image)
    truth = screen / "_truth" / "P02"
    assert np.array_equal(tifffile.imread(truth / "B03_s2_nuclei.tif"), field.nuclei)
    assert np.array_equal(tifffile.imread(truth / "B03_s2_cells.tif"), field.cells)
    cells = pl.read_parquet(truth / "cells.parquet")
    ours = cells.filter((pl.col("Metadata_Well") == "B03") & (pl.col("Metadata_Site") == 2))
    assert ours.equals(field.table)
    sites = pl.read_csv(truth / "sites.csv")
    assert sites.height == 24
    assert sites["cells"].sum() == cells.height


def test_truth_says_what_the_plate_map_may_not(screen):
    wells = pl.read_csv(screen / "_truth" / "wells.csv")
    assert wells.height == 24
    assert {"ec50_um", "hill_slope", "active", "response"} <= set(wells.columns)
    assert wells.filter(pl.col("control") == "negcon")["response"].max() == 0
    assert wells.filter(pl.col("control") == "poscon")["response"].min() > 0.9


def test_same_plan_writes_the_same_bytes_also_in_parallel(screen, tmp_path):
    simulate_screen(PLAN, tmp_path / "again", compute=LocalCompute(workers=2))
    assert contents(tmp_path / "again") == contents(screen)


def test_interrupted_screen_is_completed_on_the_next_call(screen, tmp_path):
    folder = tmp_path / "tiny"

    def stop(done, total):
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_screen(PLAN, folder, progress=stop)
    assert (folder / "P01" / "_COMPLETE").exists()
    assert not (folder / "P02" / "_COMPLETE").exists()
    calls = []
    simulate_screen(PLAN, folder, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(24, 48), *[(n, 48) for n in range(25, 49)]]
    assert contents(folder) == contents(screen)


def test_folder_with_other_files_is_refused(tmp_path, screen):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="empty folder"):
        simulate_screen(PLAN, tmp_path)
    with pytest.raises(ConfigurationError, match="empty folder"):
        simulate_screen(SimulationPlan(size=64, wells_used=4), screen)


def test_written_screen_is_catalogued_without_a_problem(screen):
    opened = Screen.open(screen)
    assert [plate.key.plate for plate in opened.plates()] == ["P01", "P02"]
    plate = opened.plate("P02")
    catalog = catalogue_plate(opened, plate)
    assert catalog.problems == []
    assert catalog.rows.height == 12 * 2 * 5
    assert set(catalog.rows["Metadata_Batch"]) == {"B2"}
    assert plate.is_complete(quiet_time_s=1e9)
    treatments = read_plate_map(opened, plate.key, set(catalog.rows["Metadata_Well"]))
    assert treatments.problems == []
    assert treatments.rows["Metadata_ControlType"].to_list().count("negcon") == 2
