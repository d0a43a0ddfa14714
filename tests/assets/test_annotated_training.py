"""A model from labels that came back as a CSV file, by a method that was chosen."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from phenolake.screens.registry import ScreenRegistry
from phenolake.stages.labelling_queues import queue_to_label
from scenario import failure_of

GFP = {"Metadata_Screen": "gfp"}


@pytest.fixture(scope="module")
def folder(materialized):
    settings = materialized.home.settings
    registry = ScreenRegistry(settings.home_path / "screens", settings.inbox_path)
    return registry.screen("gfp").folder


def trained(materialized, **config: object) -> dict[str, object]:
    home = materialized.home
    run = home.definitions.resolve_job_def("screen_job").execute_in_process(
        instance=home.instance,
        partition_key="gfp",
        asset_selection=[dg.AssetKey("phenotype_forest")],
        raise_on_error=False,
        run_config={
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            "ops": {"phenotype_forest": {"config": config}},
        },
    )
    assert run.success, failure_of(run)
    (event,) = run.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_a_queue_comes_back_as_labels_and_trains_the_method_asked_for(materialized, folder):
    lake = materialized.home.lake
    sheet = queue_to_label(lake.read("labelling_queue", GFP), "margin", "gfp-forest")
    assert sheet.height == lake.read("single_cell_features", GFP).height
    filled = sheet.with_columns(
        pl.when(pl.col("Metadata_ObjectNumber") % 2 == 0)
        .then(pl.lit("even"))
        .otherwise(pl.lit("odd"))
        .alias("label")
    )
    unseen = filled[:1].with_columns(pl.lit("H12").alias("Metadata_Well"))
    pl.concat([filled, unseen]).write_csv(folder / "labels.csv")
    facts = trained(materialized, method="svm", costs=[0.01, 1.0], annotations="labels.csv")
    assert facts["trained"]
    assert facts["cells"] == sheet.height
    assert "1 label(s) are of what is not there, such as gfp" in facts["labels"]
    assert "classes differ" in facts["champion"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Metadata_Plate,Metadata_Well,label\nP1,A01,one\nP1,B01,one\n", "only one class"),
        ("Metadata_Plate,Metadata_Well,label\nP9,A01,one\n", "none of its 1 labels"),
        ("well,label\nA01,one\n", "no column Metadata_Plate"),
    ],
)
def test_labels_that_train_nothing_are_a_reason_and_no_failure(materialized, folder, text, reason):
    (folder / "labels.csv").write_text(text)
    facts = trained(materialized, annotations="labels.csv")
    assert not facts["trained"]
    assert reason in facts["reason"]
