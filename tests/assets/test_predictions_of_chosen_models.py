"""`model_predictions` of chosen versions on a screen, how it is told, and what wells make of it."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from scenario import failure_of

GFP = {"Metadata_Screen": "gfp"}


def run_predictions(materialized, **config: object) -> dg.ExecuteInProcessResult:
    home = materialized.home
    return home.definitions.resolve_job_def("screen_job").execute_in_process(
        instance=home.instance,
        partition_key="gfp",
        asset_selection=[dg.AssetKey("model_predictions"), dg.AssetKey("well_predictions")],
        raise_on_error=False,
        run_config={
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            "ops": {"model_predictions": {"config": config}},
        },
    )


@pytest.fixture(scope="module")
def chosen(materialized):
    """The forest asked for twice by two names, with a threshold; the champions come back after."""
    uris = ["models:/gfp-forest/1", "models:/gfp-forest@champion"]
    run = run_predictions(materialized, models=uris, unknown_above=0.5, dropout_passes=2)
    assert run.success, failure_of(run)
    lake = materialized.home.lake
    wells = lake.read("well_predictions", GFP).filter(judged="cells")
    yield run, lake.read("model_predictions", GFP), wells
    assert run_predictions(materialized).success


def test_only_the_models_asked_for_are_applied_and_each_once(chosen):
    _, cells, wells = chosen
    assert cells["model_name"].unique().to_list() == ["gfp-forest"]
    assert cells.height == 2 * 4 * 9
    assert wells.height == 2 * 4


def test_cells_above_the_threshold_are_called_unknown_beside_their_label(chosen):
    _, cells, _ = chosen
    unknown = cells["label_or_unknown"] == "unknown"
    assert (unknown == (cells["novelty"] > 0.5)).all()
    assert (cells.filter(~unknown)["label_or_unknown"] == cells.filter(~unknown)["label"]).all()
    assert "unknown" not in cells["label"]
    assert cells["mutual_information"].null_count() == cells.height


def test_a_well_sums_up_its_cells(chosen):
    _, cells, wells = chosen
    row = wells.row(0, named=True)
    place = ("Metadata_Plate", "Metadata_Well")
    of = cells.filter(*(pl.col(name) == row[name] for name in place))
    assert row["cells"] == of.height == 9
    assert row["unknown_share"] == pytest.approx((of["label_or_unknown"] == "unknown").mean())
    shares = {entry["class"]: entry["share"] for entry in row["classes"]}
    assert sum(shares.values()) == pytest.approx(1)
    assert row["label_share"] == pytest.approx((of["label"] == row["label"]).mean())


def test_plates_with_few_cells_are_not_judged_for_drift(chosen):
    run, _, _ = chosen
    check = next(
        check
        for check in run.get_asset_check_evaluations()
        if check.check_name == "plates_are_like_the_training"
    )
    assert check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert check.metadata["plates with too few cells to judge"].value > 0
    assert "stability index" in check.metadata["drift"].value


@pytest.mark.parametrize(
    ("models", "message"),
    [(["models:/nobody@champion"], "nobody"), (["gfp-forest"], "is not models:/<name>@<alias>")],
)
def test_a_model_that_does_not_exist_fails_with_its_name(materialized, models, message):
    run = run_predictions(materialized, models=models)
    assert message in failure_of(run)


def test_a_model_of_other_channels_fails_with_what_it_takes(materialized):
    run = run_predictions(materialized, models=["models:/paint-forest@champion"])
    assert "features are missing" in failure_of(run)
