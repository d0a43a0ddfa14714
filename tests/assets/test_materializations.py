"""Every asset after one run: its metadata, its checks and what lies in its table."""

from __future__ import annotations

import base64
import re

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from phenolake.tables import TABLES
from scenario import contents, failure_of

OF_PLATES = [
    "raw_image_catalog",
    "plate_map",
    "illumination_functions",
    "image_quality",
    "segmentation_masks",
    "objects",
    "single_cell_features",
    "single_cell_crops",
    "field_features",
    "well_profiles",
    "normalized_profiles",
]
OF_SCREENS = [
    "batch_corrected_profiles",
    "consensus_profiles",
    "model_predictions",
    "labelling_queue",
    "well_predictions",
    "cell_embeddings",
    "embedding_profiles",
    "model_scores",
]
MODELS = ["phenotype_forest", "phenotype_network"]
PLAIN = {
    *("plate_map", "objects", "single_cell_crops", "consensus_profiles", "model_predictions"),
    *("cell_embeddings", "embedding_profiles", "model_scores", "well_predictions"),
    "labelling_queue",
}

#: Rows of the two screens: plates, wells, sites, cells and channels are those of `plates.py`.
GFP_PLATE = {"Metadata_Screen": "gfp", "Metadata_Plate": "P1"}
PAINT_PLATE = {"Metadata_Screen": "paint", "Metadata_Plate": "P1"}
CELLS = 4 * 9


def metadata_of(materialized, run: str, asset: str) -> dict[str, object]:
    events = materialized.runs[run].get_asset_materialization_events()
    event = next(event for event in events if event.asset_key.path == [asset])
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_every_run_succeeds(materialized):
    failed = {name: failure_of(run) for name, run in materialized.runs.items() if not run.success}
    assert failed == {}


@pytest.mark.parametrize("asset", OF_PLATES + OF_SCREENS)
def test_a_materialization_tells_rows_version_place_and_time(materialized, asset):
    run = "gfp__P1" if asset in OF_PLATES else "gfp"
    metadata = metadata_of(materialized, run, asset)
    lake = materialized.home.lake
    where = GFP_PLATE if asset in OF_PLATES else {"Metadata_Screen": "gfp"}
    assert 0 <= metadata["delta_version"] <= lake.version(asset)
    written = lake.table(asset, version=metadata["delta_version"]).filter(**where)
    assert metadata["dagster/row_count"] == written.select(pl.len()).collect().item() > 0
    assert metadata["table"] == lake.table_uri(asset)
    assert metadata["seconds"] >= 0


@pytest.mark.parametrize("asset", sorted({*OF_PLATES, *OF_SCREENS, *MODELS} - PLAIN))
def test_heavy_assets_show_a_picture(materialized, asset):
    metadata = metadata_of(materialized, "gfp__P1" if asset in OF_PLATES else "gfp", asset)
    pictures = [
        found[1]
        for value in metadata.values()
        if (found := re.search(r"!\[[^]]*\]\(data:image/png;base64,([^)]+)\)", str(value)))
    ]
    assert pictures
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)


@pytest.mark.parametrize("run", ["gfp__P1", "gfp__P2", "paint__P1", "gfp", "paint"])
def test_all_checks_pass_on_clean_images(materialized, run):
    checks = materialized.runs[run].get_asset_check_evaluations()
    assert {check.check_name for check in checks} >= {"keys_are_unique"}
    failed = {
        f"{check.asset_key.path[-1]}.{check.check_name}" for check in checks if not check.passed
    }
    assert failed == set()


@pytest.mark.parametrize("name", OF_PLATES + OF_SCREENS)
def test_keys_are_complete_and_unique_over_the_whole_table(materialized, name):
    rows = materialized.home.lake.read(name)
    keys = rows.select(TABLES[name].key)
    assert keys.is_unique().all()
    declared = {column.name for column in TABLES[name].columns if not column.nullable}
    assert rows.select(declared).null_count().sum_horizontal().item() == 0


def test_counts_agree_from_images_to_profiles(materialized):
    lake = materialized.home.lake
    assert lake.read("raw_image_catalog", GFP_PLATE).height == 4 * 2
    assert lake.read("raw_image_catalog", PAINT_PLATE).height == 4 * 5
    masks = lake.read("segmentation_masks", GFP_PLATE)
    assert sorted(masks["compartment"].unique()) == ["Cells", "Cytoplasm", "Nuclei"]
    assert masks.filter(pl.col("compartment") == "Nuclei")["object_count"].sum() == CELLS
    assert lake.read("single_cell_features", GFP_PLATE).height == CELLS
    assert lake.read("single_cell_crops", GFP_PLATE).height == CELLS
    objects = lake.read("objects", GFP_PLATE)
    per_compartment = objects.group_by("compartment").len().sort("compartment").rows()
    assert per_compartment == [("Cells", CELLS), ("Cytoplasm", CELLS), ("Nuclei", CELLS)]
    assert objects.filter(pl.col("compartment") != "Cells")["parent_number"].null_count() == 0
    profiles = lake.read("well_profiles", GFP_PLATE)
    assert profiles["Metadata_ExcludedCellCount"].to_list() == [0, 0, 0, 0]
    assert profiles["Metadata_CellCount"].to_list() == [9, 9, 9, 9]
    assert profiles["Metadata_SiteCount"].to_list() == [1, 1, 1, 1]
    assert lake.read("normalized_profiles", GFP_PLATE).height == 2 * 4
    predictions = lake.read("model_predictions", {"Metadata_Screen": "gfp"})
    assert predictions.height == 2 * CELLS * len(MODELS)


def test_predictions_carry_run_version_and_probabilities_that_sum_to_one(materialized):
    predictions = materialized.home.lake.read("model_predictions", {"Metadata_Screen": "gfp"})
    for model in ("forest", "network"):
        rows = predictions.filter(pl.col("model_name") == f"gfp-{model}")
        metadata = metadata_of(materialized, "gfp", f"phenotype_{model}")
        assert rows["mlflow_run_id"].unique().to_list() == [metadata["mlflow run"]]
        assert metadata["model"] == f"models:/gfp-{model}/{rows['model_version'][0]}"
    sums = predictions.select(
        pl.col("probabilities").list.eval(pl.element().struct.field("probability")).list.sum()
    )
    assert sums.to_series().to_list() == pytest.approx([1.0] * predictions.height, abs=1e-5)


def test_every_cell_has_an_embedding_and_every_well_a_profile_of_them(materialized):
    lake = materialized.home.lake
    where = {"Metadata_Screen": "gfp"}
    embeddings = lake.read("cell_embeddings", where)
    assert embeddings.height == 2 * CELLS
    assert embeddings["embedding"].list.len().unique().to_list() == [50]
    version = metadata_of(materialized, "gfp", "phenotype_network")["model"]
    assert f"models:/gfp-network/{embeddings['model_version'][0]}" == version
    profiles = lake.read("embedding_profiles", where)
    raw = profiles.filter(pl.col("Metadata_Correction") == "uncorrected")
    assert raw.height == 2 * 4
    well = (pl.col("Metadata_Plate") == "P2") & (pl.col("Metadata_Well") == "B02")
    of_well = embeddings.filter(well)["embedding"].list.get(0).mean()
    assert raw.filter(well)["Cells_Embedding_001"].to_list() == pytest.approx([of_well], rel=1e-5)
    assert raw["Metadata_CellCount"].to_list() == [9] * 8


def test_models_are_scored_on_the_same_held_out_cells_with_their_cost(materialized):
    scores = materialized.home.lake.read("model_scores", {"Metadata_Screen": "gfp"})
    cells = scores.filter(pl.col("question") == "class of cells in held-out wells")
    assert dict(cells.select("model_name", "approach").unique().iter_rows()) == {
        "gfp-forest": "stage-wise",
        "gfp-network": "end-to-end",
    }
    assert cells["judged"].n_unique() == 1
    assert cells.select((pl.col("fit_cpu_seconds") > 0).all()).item()
    assert cells["training_cells"].null_count() == 0
    assert cells.filter(pl.col("approach") == "end-to-end")["parameters"].min() > 0
    assert scores.filter(pl.col("question") == "profiles after none").height > 0


def test_a_screen_has_the_features_of_its_own_channels_only(materialized):
    lake = materialized.home.lake
    gfp = lake.read("single_cell_features", GFP_PLATE).columns
    paint = lake.read("single_cell_features", PAINT_PLATE).columns
    assert not any(name.endswith("Mito") for name in gfp)
    assert not any(name.endswith("GFP") for name in paint)
    assert any(name.endswith("Mito") for name in paint)


@pytest.mark.parametrize("asset", OF_PLATES)
def test_materializing_again_replaces_the_plate_and_touches_no_other(materialized, asset):
    lake = materialized.home.lake
    before = {name: contents(lake, asset, {"Metadata_Screen": name}) for name in ("gfp", "paint")}
    version = lake.version(asset)
    run = materialized.home.run_plate("gfp", "P1", only=asset)
    assert run.success, failure_of(run)
    assert lake.version(asset) == version + 1
    for name, rows in before.items():
        assert_frame_equal(contents(lake, asset, {"Metadata_Screen": name}), rows)


@pytest.mark.parametrize("asset", OF_SCREENS)
def test_materializing_a_screen_again_gives_the_same_rows(materialized, asset):
    lake = materialized.home.lake
    before = contents(lake, asset)
    run = materialized.home.run_screen("paint", only=asset)
    assert run.success, failure_of(run)
    assert_frame_equal(contents(lake, asset), before)


def test_commits_name_run_and_code_version(materialized):
    newest = materialized.home.lake.history("normalized_profiles")[0]
    assert re.fullmatch(r"[0-9a-f-]{36}", newest["phenolake_run_id"])
    assert newest["phenolake_code_version"]


def test_masks_and_features_share_object_numbers(materialized):
    from phenolake.lake import decode_labels

    lake = materialized.home.lake
    cells = lake.read("single_cell_features", {**GFP_PLATE})
    masks = lake.read("segmentation_masks", GFP_PLATE)
    for row in masks.iter_rows(named=True):
        labels = decode_labels(row["labels"], (row["height"], row["width"]), row["codec"])
        numbers = cells.filter(pl.col("Metadata_Well") == row["Metadata_Well"])[
            "Metadata_ObjectNumber"
        ]
        assert sorted(set(labels.ravel().tolist()) - {0}) == sorted(numbers)
