"""Screens whose plates have no controls, or that come with normalized profiles only."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenolake.errors import ControlsMissingError, TableMissingError
from phenolake.importing import import_source
from phenolake.profiling import normalize
from phenolake.screens.discover import Screen
from phenolake.stages.profiles import normalize_wells
from phenolake.stages.reference import reference_of
from phenolake.stages.screen_correction import correct_screen
from phenolake.stages.screen_profiles import start_of
from phenolake.tables import WELL_PROFILES
from scenario import failure_of, installation
from well_tables import wells_of


def features(frame: pl.DataFrame) -> np.ndarray:
    return frame.select("^Nuclei_.*$").to_numpy()


def test_auto_takes_controls_where_there_are_any_and_says_when_there_are_none() -> None:
    assert reference_of(wells_of("P1", "negcon")).name == "Metadata_ControlType == 'negcon'"
    stopgap = reference_of(wells_of("P1"))
    assert (stopgap.name, stopgap.wells) == ("all wells", None)
    assert "no negative control" in str(stopgap.warning)
    assert reference_of(wells_of("P1"), "all").warning is None
    with pytest.raises(ControlsMissingError, match="plate P1"):
        normalize_wells(wells_of("P1"), reference_of(wells_of("P1"), "controls"))


def test_without_controls_a_plate_is_normalized_against_all_its_wells() -> None:
    wells = wells_of("P1")
    normalized = normalize_wells(wells, reference_of(wells))
    assert normalized["Metadata_Reference"].unique().to_list() == ["all wells"]
    expected = normalize(wells, "standardize", reference=None)
    got = normalized.filter(pl.col("Metadata_Normalization") == "standardize")
    np.testing.assert_array_equal(features(got), features(expected))
    np.testing.assert_allclose(features(got).mean(axis=0), 0, atol=1e-12)


def test_one_plate_of_many_without_controls_is_an_error_that_names_it() -> None:
    both = pl.concat([wells_of("P1", "negcon"), wells_of("P2")])
    with pytest.raises(ControlsMissingError, match="plate P2"):
        correct_screen(both, ["none"], reference=reference_of(both))


def test_a_screen_without_controls_runs_through(tmp_path) -> None:
    with installation(tmp_path) as home:
        folder = tmp_path / "S"
        folder.mkdir()
        (folder / "screen.yaml").write_text("name: S\ncorrections: [none, sphering]\n")
        home.add(folder)
        plates = [f"S__P{n}" for n in (1, 2)]
        home.instance.add_dynamic_partitions("plates", plates)
        for number, key in enumerate(plates):
            name = key.removeprefix("S__")
            where = {"Metadata_Screen": "S", "Metadata_Plate": name}
            home.lake.write(WELL_PROFILES, wells_of(name, seed=number), where)
        # Plates need a folder to be materialized; what reads the table only is the screen's.
        result = home.run_screen("S")
        assert result.success, failure_of(result)
        corrected = home.lake.read("batch_corrected_profiles")
        assert corrected["Metadata_Reference"].unique().to_list() == ["all wells"]
        assert set(corrected["Metadata_Correction"]) == {"none", "sphering"}
        scores = home.lake.read("replicate_scores")
        assert scores["Metadata_Perturbation"].n_unique() == 8
        (event,) = result.asset_materializations_for_node("batch_corrected_profiles")
        assert "no negative control" in str(event.metadata["warning"].value)
        checks = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
        assert checks["inputs_are_sound"] is False


def test_a_screen_of_imported_normalized_profiles_runs_through(tmp_path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number, plate in enumerate(("P1", "P2")):
        frame = normalize(wells_of(plate, "negcon", seed=number), "standardize")
        kept = frame.drop("Metadata_Screen", "Metadata_SiteCount", "Metadata_Batch")
        kept.write_csv(source / f"{plate}_normalized.csv")
    with installation(tmp_path / "home") as home:
        assert {i.commit.table for i in import_source(home.lake, source, "S")} == {
            "normalized_profiles",
            "plate_map",
        }
        folder = tmp_path / "S"
        folder.mkdir()
        (folder / "screen.yaml").write_text("name: S\ncorrections: [none]\n")
        home.add(folder)
        home.instance.add_dynamic_partitions("plates", ["S__P1", "S__P2"])
        result = home.run_screen("S")
        assert result.success, failure_of(result)
        corrected = home.lake.read("batch_corrected_profiles")
        assert corrected.height == 48
        assert '"normalize"' not in corrected["Metadata_Recipe"][0]
        assert home.lake.read("consensus_profiles").height == 8
        (event,) = result.asset_materializations_for_node("phenotype_forest")
        assert "single_cell_features" in str(event.metadata["reason"].value)


def test_a_screen_without_any_profiles_is_a_clear_error(tmp_path) -> None:
    with installation(tmp_path) as home, pytest.raises(TableMissingError, match="well_profiles"):
        start_of(home.lake, {"Metadata_Screen": "S"}, "moa_default")


def test_the_rule_of_a_screen_is_one_of_three(tmp_path) -> None:
    (tmp_path / "screen.yaml").write_text("reference: all\n")
    assert Screen.open(tmp_path).config.reference == "all"
