"""Sites that image quality calls unusable: their cells are not measured, their fields are."""

from __future__ import annotations

import shutil

import pytest

from plates import write_screen
from scenario import failure_of, installation


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    root = tmp_path_factory.mktemp("flagged")
    folder = write_screen(root / "gfp")
    for path in (folder / "P1").glob("A01_*"):  # a duplicate, which is flagged and left out
        shutil.copy(path, path.with_name(path.name.replace("A01", "B02")))
    with installation(root / "home") as home:
        home.add(folder)
        for only in (
            "raw_image_catalog",
            "illumination_functions",
            "image_quality",
            "segmentation_masks",
            "single_cell_features",
            "field_features",
        ):
            run = home.run_plate("gfp", "P1", only)
            assert run.success, failure_of(run)
        yield home.lake, run


def test_cells_of_an_unusable_site_are_not_measured(measured):
    lake, _ = measured
    unusable = lake.sql("select Metadata_Well from silver.image_quality where not is_usable")
    assert set(unusable["Metadata_Well"]) == {"B02"}
    wells = lake.read("single_cell_features")["Metadata_Well"].unique().sort().to_list()
    assert wells == ["A01", "A02", "B01"]
    assert lake.read("segmentation_masks")["Metadata_Well"].n_unique() == 4


def test_every_field_is_measured(measured):
    lake, run = measured
    fields = lake.read("field_features")
    assert fields["Metadata_Well"].to_list() == ["A01", "A02", "B01", "B02"]
    assert fields["Image_Count_Nuclei"].to_list() == [9, 9, 9, 9]
    assert "Image_Intensity_MedianIntensity_DNA" in fields.columns
    assert all(check.passed for check in run.get_asset_check_evaluations())
