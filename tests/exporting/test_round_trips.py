"""What `phenolake export` wrote is worked on with the libraries it is for, as their users do."""

from __future__ import annotations

import re
import shutil
import sys
import warnings

import numpy as np
import pytest

from phenolake.exporting import add_sites, sites_of, write_ome_zarr
from phenolake.lake import Lake
from phenolake.tables import TABLES
from small_lake import PLATE, SCREEN
from terminal import call, user_at
from well_tables import wells_of


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Folder with 48 wells of two plates as `wells.h5ad`, `wells.parquet` and `wells.csv`."""
    folder = tmp_path_factory.mktemp("exported")
    with user_at(folder / "home") as home:
        lake = Lake(str(home / "tables"))
        for seed, plate in enumerate(("P1", "P2")):
            rows = wells_of(plate, "negcon", seed)
            where = {"Metadata_Screen": "S", "Metadata_Plate": plate}
            lake.write(TABLES["well_profiles"], rows, where)
        for suffix in ("h5ad", "parquet", "csv"):
            answer = call(
                "export", "gold.well_profiles", folder / f"wells.{suffix}", "--screen", "S"
            )
            assert answer.status == 0, answer.errors
        assert call("catalog", folder / "lake.duckdb").status == 0
    return folder


@pytest.fixture(scope="module")
def plate(lake, tmp_path_factory):
    """A plate of two wells with labels as OME-Zarr."""
    out = tmp_path_factory.mktemp("zarr") / "plate.zarr"
    write_ome_zarr(sites_of(lake, SCREEN, PLATE, ["A02", "B03"]), out, PLATE)
    return out


def frame_of(exported):
    pandas = pytest.importorskip("pandas")
    return pandas.read_parquet(exported / "wells.parquet")


def features_of(frame):
    return [name for name in frame.columns if not name.startswith("Metadata_")]


def test_python_of_the_page_runs_on_exported_files(exported, repository, monkeypatch):
    for library in ("scanpy", "pycytominer", "copairs"):
        pytest.importorskip(library)
    page = (repository / "docs" / "exports.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(exported)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert len(names["precision"]) == 42
    assert names["wells"].obsm["X_pca"].shape[0] == len(names["rows"]) == 48


def test_scanpy_finds_the_replicates_of_a_compound(exported):
    scanpy = pytest.importorskip("scanpy")
    wells = scanpy.read_h5ad(exported / "wells.h5ad")
    scanpy.pp.scale(wells)
    scanpy.pp.pca(wells, n_comps=4)
    # By a Gaussian kernel: the default compiles UMAP's code for half a minute.
    scanpy.pp.neighbors(wells, n_neighbors=5, method="gauss")
    near = wells.obsp["distances"].tolil().rows
    compound = wells.obs["Metadata_Perturbation"].to_numpy()
    alike = [compound[n] == compound[i] for i in range(48) for n in near[i]]
    assert np.mean(alike) > 0.7  # by chance 0.11


def test_pycytominer_normalizes_and_selects_features(exported):
    pycytominer = pytest.importorskip("pycytominer")
    frame = frame_of(exported)
    names = {"features": features_of(frame), "meta_features": list(frame.filter(like="Metadata_"))}
    controls = "Metadata_ControlType == 'negcon'"
    scaled = pycytominer.normalize(frame, samples=controls, method="standardize", **names)
    reference = scaled.query(controls)[names["features"]]
    np.testing.assert_allclose(reference.mean(), 0, atol=1e-12)
    kept = pycytominer.feature_select(
        scaled, features=names["features"], operation=["variance_threshold", "drop_na_columns"]
    )
    assert set(features_of(kept)) == set(names["features"])
    assert kept["Metadata_Well"].to_list() == frame["Metadata_Well"].to_list()


def test_pycytominer_recognises_the_features_by_their_names(exported):
    cyto_utils = pytest.importorskip("pycytominer.cyto_utils")
    frame = frame_of(exported)
    assert cyto_utils.infer_cp_features(frame) == features_of(frame)


def test_copairs_scores_the_replicates(exported):
    retrieval = pytest.importorskip("copairs.map")
    frame = frame_of(exported)
    treated = frame[frame["Metadata_ControlType"] == "trt"].reset_index(drop=True)
    compound = ["Metadata_Perturbation"]
    metadata, values = treated.filter(like="Metadata_"), treated[features_of(frame)].to_numpy()
    precision = retrieval.average_precision(metadata, values, compound, [], [], compound)
    scores = retrieval.mean_average_precision(
        precision, compound, null_size=200, threshold=0.05, seed=0, progress_bar=False
    )
    assert len(scores) == 7
    assert scores["mean_average_precision"].median() == 1
    assert scores["below_corrected_p"].all()


def test_a_spreadsheet_gets_text_and_numbers_alone(exported):
    pandas = pytest.importorskip("pandas")
    sheet = pandas.read_csv(exported / "wells.csv")
    frame = frame_of(exported)
    assert list(sheet.columns) == list(frame.columns)
    np.testing.assert_allclose(sheet[features_of(frame)], frame[features_of(frame)])
    assert sheet["Metadata_Well"].to_list() == frame["Metadata_Well"].to_list()


def test_plate_passes_the_validator_of_its_files(plate, tmp_path):
    yaozarrs = pytest.importorskip("yaozarrs")
    with warnings.catch_warnings(action="error"):
        yaozarrs.validate_zarr_store(str(plate))
    broken = tmp_path / "broken.zarr"
    shutil.copytree(plate, broken)
    shutil.rmtree(broken / "B" / "3" / "1" / "labels" / "Nuclei")
    with pytest.raises(ValueError, match="Nuclei"):
        yaozarrs.validate_zarr_store(str(broken))


def test_well_becomes_layers_of_a_napari_viewer(lake):
    components = pytest.importorskip("napari.components")
    viewer = components.ViewerModel()
    assert add_sites(viewer, sites_of(lake, SCREEN, PLATE, ["A02"])) == 2
    first = ["1 DNA", "1 GFP", "1 Cells", "1 Nuclei"]
    assert {layer.name for layer in viewer.layers if layer.visible} == set(first)
    assert len(viewer.layers) == 8
    nuclei = viewer.layers["2 Nuclei"]
    assert (int(nuclei.data.max()), nuclei.data.shape) == (3, (64, 64))
    np.testing.assert_allclose(nuclei.scale, 0.5)


def test_napari_without_a_window_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "qtpy.QtWidgets", None)
    with user_at(tmp_path):
        answer = call("napari", SCREEN, PLATE, "A02")
    assert answer.status == 1
    assert "pip install 'napari[all]'" in answer.errors


def finest(layer):
    return layer.data[0] if layer.multiscale else layer.data


def test_plate_opens_in_napari(plate):
    reader = pytest.importorskip("napari_ome_zarr._reader")
    from napari.components import ViewerModel

    viewer = ViewerModel()
    for pixels, settings, kind in reader.napari_get_reader(str(plate))(str(plate)):
        getattr(viewer, f"add_{kind}")(pixels, **settings)
    images = [layer for layer in viewer.layers if "DNA" in layer.name or "GFP" in layer.name]
    labels = [layer for layer in viewer.layers if layer not in images]
    assert len(images) == len(labels) == 2
    assert [finest(layer).shape[-2:] for layer in viewer.layers] == [(128, 192)] * 4
    np.testing.assert_allclose([layer.scale[-2:] for layer in viewer.layers], 0.5)
    assert {int(finest(layer).max()) for layer in labels} == {3}
