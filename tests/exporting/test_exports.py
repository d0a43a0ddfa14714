"""Exports are read back by the libraries they are for."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import tifffile

from phenolake.errors import ConfigurationError, LibraryMissingError, NotFoundError
from phenolake.exporting.bundle import differing_files, write_bundle
from phenolake.exporting.files import outlines_of, write_rois, write_tiffs
from phenolake.exporting.ome_zarr_plate import write_ome_zarr
from phenolake.exporting.sites import sites_of
from phenolake.exporting.tables import write_table
from small_lake import DRUG, PLATE, SCREEN, WHERE


def test_anndata_has_features_as_x_and_metadata_as_obs(lake, tmp_path):
    anndata = pytest.importorskip("anndata")
    rows = lake.read("batch_corrected_profiles")
    write_table(rows, tmp_path / "wells.h5ad", {"table": "batch_corrected_profiles"})
    data = anndata.read_h5ad(tmp_path / "wells.h5ad")
    assert data.shape == (18, 2)
    assert data.var_names.to_list() == ["Nuclei_AreaShape_Area", "Cells_AreaShape_Area"]
    assert data.var["compartment"].to_list() == ["Nuclei", "Cells"]
    assert data.obs["Metadata_Perturbation"].astype(str).to_list().count(DRUG) == 15
    np.testing.assert_allclose(data.X[:, 0], rows["Nuclei_AreaShape_Area"], rtol=1e-6)
    assert data.obs_names.is_unique
    assert data.uns["table"] == "batch_corrected_profiles"


def test_cells_are_an_anndata_too(lake, tmp_path):
    anndata = pytest.importorskip("anndata")
    write_table(lake.read("single_cell_features"), tmp_path / "cells.h5ad")
    assert anndata.read_h5ad(tmp_path / "cells.h5ad").n_obs == 108


def test_parquet_and_csv_hold_the_rows(lake, tmp_path):
    rows = lake.read("well_profiles")
    write_table(rows, tmp_path / "wells.parquet")
    write_table(rows, tmp_path / "wells.csv")
    assert pl.read_parquet(tmp_path / "wells.parquet").equals(rows)
    read = pl.read_csv(tmp_path / "wells.csv")
    assert read["Metadata_Perturbation"].to_list() == rows["Metadata_Perturbation"].to_list()
    write_table(lake.read("segmentation_masks"), tmp_path / "masks.csv")
    assert "labels" not in pl.read_csv(tmp_path / "masks.csv").columns


def test_unknown_format_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"\.parquet"):
        write_table(pl.DataFrame({"a": [1]}), tmp_path / "table.xls")


def test_absent_library_is_named_with_the_way_to_add_it(lake, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "anndata", None)
    with pytest.raises(LibraryMissingError, match=r"phenolake\[export\]"):
        write_table(lake.read("well_profiles"), tmp_path / "wells.h5ad")


def test_profiles_open_in_copairs_and_pycytominer(lake, tmp_path):
    pytest.importorskip("pycytominer")
    from copairs.map import average_precision
    from pycytominer import normalize

    write_table(lake.read("batch_corrected_profiles"), tmp_path / "wells.parquet")
    frame = __import__("pandas").read_parquet(tmp_path / "wells.parquet")
    features = ["Nuclei_AreaShape_Area", "Cells_AreaShape_Area"]
    scaled = normalize(frame, features=features, method="standardize")
    assert abs(scaled["Nuclei_AreaShape_Area"].mean()) < 1e-9
    treated = frame.dropna(subset=["Metadata_Concentration"]).reset_index(drop=True)
    metadata = treated[["Metadata_Well", "Metadata_Concentration"]]
    dose = ["Metadata_Concentration"]
    precision = average_precision(metadata, treated[features].to_numpy(), dose, [], [], dose)
    assert len(precision) == 15


def test_ome_zarr_keeps_pixels_and_labels(lake, tmp_path):
    zarr = pytest.importorskip("zarr")
    sites = list(sites_of(lake, SCREEN, PLATE, ["A02", "B03"]))
    assert write_ome_zarr(iter(sites), tmp_path / "plate.zarr", PLATE) == 4
    plate = zarr.open_group(str(tmp_path / "plate.zarr"), mode="r")
    paths = [well["path"] for well in plate.attrs["plate"]["wells"]]
    assert paths == ["A/2", "B/3"]
    np.testing.assert_array_equal(plate["B/3/1/0"][:], sites[3].image)
    np.testing.assert_array_equal(plate["B/3/1/labels/Nuclei/0"][0], sites[3].masks["Nuclei"])


def test_ome_zarr_passes_the_validator(lake, tmp_path):
    models = pytest.importorskip("ome_zarr_models.v04.hcs")
    from ome_zarr_models.v04 import image, labels, well
    from pydantic_zarr.v2 import ArraySpec, GroupSpec

    # Versions of the validator and of pydantic that miss each other: it forgets two names.
    names = {"ArraySpec": ArraySpec, "GroupSpec": GroupSpec}
    for model in (image.Labels, image.Image, labels.Labels, well.Well, models.HCS):
        model.model_rebuild(_types_namespace=names, force=True)
    zarr = pytest.importorskip("zarr")
    write_ome_zarr(sites_of(lake, SCREEN, PLATE, ["A02"]), tmp_path / "plate.zarr", PLATE)
    plate = models.HCS.from_zarr(zarr.open_group(str(tmp_path / "plate.zarr"), mode="r"))
    assert len(plate.attributes.plate.wells) == 1


def test_ome_zarr_opens_in_the_reference_reader(lake, tmp_path):
    io = pytest.importorskip("ome_zarr.io")
    from ome_zarr.reader import Reader

    write_ome_zarr(sites_of(lake, SCREEN, PLATE, ["A02"]), tmp_path / "plate.zarr", PLATE)
    nodes = list(Reader(io.parse_url(tmp_path / "plate.zarr" / "A" / "2" / "0"))())
    assert nodes[0].data[0].shape == (2, 64, 64)
    assert nodes[0].metadata["channel_names" if "channel_names" in nodes[0].metadata else "name"]


def test_exported_plate_is_a_plate_that_can_be_ingested(lake, tmp_path):
    from phenolake.images.readers.ome_zarr import OmeZarr

    write_ome_zarr(sites_of(lake, SCREEN, PLATE, ["A02", "C06"]), tmp_path / "P1.zarr", "P1")
    planes = list(OmeZarr().planes(tmp_path / "P1.zarr"))
    assert {(p.well.name, p.site, p.channel) for p in planes} >= {
        ("A02", 1, "DNA"),
        ("C06", 2, "GFP"),
    }


def test_folder_that_exists_is_not_written_over(lake, tmp_path):
    with pytest.raises(ConfigurationError, match="exists"):
        write_ome_zarr(iter(()), tmp_path, "x")


def test_tiffs_have_channels_pixel_size_and_labels(lake, tmp_path):
    assert write_tiffs(sites_of(lake, SCREEN, PLATE, ["A02"]), tmp_path / "t") == 2
    with tifffile.TiffFile(tmp_path / "t" / "A02_s1.ome.tif") as file:
        assert file.asarray().shape == (2, 64, 64)
        assert 'PhysicalSizeX="0.5"' in file.ome_metadata
        assert 'Name="GFP"' in file.ome_metadata
    assert tifffile.imread(tmp_path / "t" / "A02_s2_Nuclei.tif").max() == 3


def test_rois_enclose_their_objects_exactly(lake, tmp_path):
    roifile = pytest.importorskip("roifile")
    from matplotlib.path import Path as Outline

    sites = list(sites_of(lake, SCREEN, PLATE, ["A02"]))
    write_rois(iter(sites), tmp_path / "r")
    rois = roifile.roiread(tmp_path / "r" / "A02_s1_Nuclei.zip")
    assert [roi.name for roi in rois] == ["Nuclei-00001", "Nuclei-00002", "Nuclei-00003"]
    y, x = np.mgrid[:64, :64] + 0.5
    for number, roi in enumerate(rois, 1):
        inside = Outline(roi.coordinates()).contains_points(np.column_stack([x.ravel(), y.ravel()]))
        expected = sites[0].masks["Nuclei"] == number
        np.testing.assert_array_equal(inside.reshape(64, 64), expected)


def test_outline_of_a_ragged_object_follows_its_pixels():
    labels = np.array([[0, 5, 0], [5, 5, 0], [0, 5, 5]])
    points = outlines_of(labels)[5]
    x, y = points.T.astype(float)
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert area == 5


def test_bundle_says_what_is_in_it_and_notices_changes(lake, tmp_path):
    files = write_bundle(lake, SCREEN, tmp_path / "b", "CC-BY-4.0")
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert (manifest["licence"], manifest["screen"]) == ("CC-BY-4.0", SCREEN)
    names = {table["table"]: table for table in manifest["tables"]}
    assert names["gold.well_profiles"]["rows"] == 18
    assert "silver.segmentation_masks" not in names
    assert differing_files(tmp_path / "b") == []
    files[0].write_bytes(b"other")
    assert differing_files(tmp_path / "b") == [files[0].name]


def test_interrupted_bundle_leaves_nothing(lake, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("phenolake.exporting.bundle.write_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(lake, SCREEN, tmp_path / "b", "CC-BY-4.0")
    assert not list(tmp_path.iterdir())


def test_bundle_needs_a_licence_and_a_known_screen(lake, tmp_path):
    with pytest.raises(ConfigurationError, match="licence"):
        write_bundle(lake, SCREEN, tmp_path / "b", " ")
    with pytest.raises(NotFoundError, match="no screen"):
        write_bundle(lake, "nobody", tmp_path / "b", "CC0-1.0")


def test_unknown_plate_is_named(lake):
    assert WHERE["Metadata_Plate"] == PLATE
    with pytest.raises(NotFoundError, match="no plate 'P9'"):
        next(sites_of(lake, SCREEN, "P9"))
