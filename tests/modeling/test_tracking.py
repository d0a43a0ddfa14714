import subprocess
import sys
from dataclasses import replace
from functools import partial

import polars as pl
import pytest

from phenolake.errors import ConfigurationError, TrainingDataError, UnknownNameError
from phenolake.modeling import load_model, predict, split_by, train, train_linear
from phenolake.modeling.champion import Standing, judge
from phenolake.modeling.classical.cost_sweep import sweep_costs


def test_a_registered_network_says_what_the_trained_one_said(tracker, disks, tiny):
    result = train(
        *disks, name="disks", tracker=tracker, experiment="model_predictions",
        data_versions={"single_cell_features": 4}, tags={"dagster_run_id": "abc"},
        model=tiny, epochs=3, learning_rate=0.01, batch_size=30, device="cpu",
    )  # fmt: skip
    assert result.registered.version == "1"
    assert result.promotion.promoted
    loaded = load_model("models:/disks@champion", tracker.tracking_uri)
    assert (loaded.version, loaded.run_id, loaded.kind) == (
        "1",
        result.registered.run_id,
        "network",
    )
    assert predict(disks[0], loaded).equals(predict(disks[0], result.model))
    assert predict(disks[0], "models:/disks/1", tracker.tracking_uri).height == 160

    run = tracker.client.get_run(result.registered.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["dagster_run_id"] == "abc"
    assert run.data.tags["data_version.single_cell_features"] == "4"
    assert run.data.tags["split_sha256"] == result.summary.sha256
    assert run.data.params["architecture.widths"] == "(4, 8)"
    assert run.data.metrics["validation_accuracy"] == result.scores.metrics["accuracy"]
    files = {entry.path for entry in tracker.client.list_artifacts(run.info.run_id)}
    assert files >= {"examples.png", "grad_cam.png", "training_curves.png", "calibration.png"}
    steps = tracker.client.get_metric_history(run.info.run_id, "epoch_validation_loss")
    assert [metric.step for metric in steps] == [1, 2, 3]


def test_a_run_holds_weights_card_and_pictures_and_no_pickle(tracker, blobs):
    result = train(*blobs, name="blobs", tracker=tracker, trees=5)
    run_id = result.registered.run_id
    files = [
        entry.path
        for folder in ("", "model")
        for entry in tracker.client.list_artifacts(run_id, folder)
    ]
    assert sorted(files) == [
        "calibration.csv", "calibration.png", "confusion_matrix.png", "model", "model/MLmodel",
        "model/README.md", "model/model.json",
        "model/model.safetensors", "per_class.csv", "split_of_wells.csv",
    ]  # fmt: skip
    assert result.summary.by == "Metadata_Well"
    assert predict(blobs[0], "models:/blobs@candidate", tracker.tracking_uri).equals(
        predict(blobs[0], result.model)
    )


def test_the_signature_says_what_a_model_takes_and_gives(tracker, blobs, disks, tiny, tmp_path):
    from mlflow.models import Model

    options = {"tracker": tracker, "name": "signed"}
    votes = train(*blobs, method="lda+forest", **options)
    network = train(*disks, model=tiny, epochs=1, device="cpu", **options)
    folder = tracker.fetch(votes.registered, tmp_path)
    signature = Model.load(str(folder)).signature
    assert set(signature.inputs.input_names()) == {f"Nuclei_F_{i}" for i in range(6)}
    assert signature.outputs.input_names()[:2] == ["label", "probability_dmso"]
    crops = Model.load(str(tracker.fetch(network.registered, tmp_path))).signature.inputs
    assert crops.inputs[0].shape == (-1, 2, 16, 16)


def test_each_cost_of_a_sweep_is_a_nested_run_and_the_best_trains_the_model(tracker, blobs):
    costs = [0.001, 0.1, 10.0]
    result = train(*blobs, method="svm", costs=costs, name="swept", tracker=tracker)
    experiment = tracker.client.get_experiment_by_name("swept")
    parent = result.registered.run_id
    nested = tracker.client.search_runs(
        [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'"
    )
    scores = {
        float(run.data.params["cost"]): run.data.metrics["cross_validated_balanced_accuracy"]
        for run in nested
    }
    assert sorted(scores) == costs
    best = result.model.settings["cost"]
    assert scores[best] == max(scores.values())
    assert [run.data.params["cost"] for run in nested if run.data.tags["chosen"] == "True"] == [
        str(best)
    ]
    assert tracker.client.get_run(parent).data.params["cost"] == str(best)


def test_a_sweep_looks_at_training_cells_only(blobs):
    frame, labels = blobs
    keys = frame.select("^Metadata_.*$")
    split = split_by(keys, labels=labels)
    held = pl.Series(split != "train")
    shuffled = frame.with_columns(
        pl.when(held).then(-pl.col("^Nuclei_.*$")).otherwise(pl.col("^Nuclei_.*$"))
    )
    one, other = (
        sweep_costs(
            partial(train_linear, method="svm"),
            data,
            labels,
            split,
            keys,
            "Metadata_Well",
            [0.1, 1.0],
        )
        for data in (frame, shuffled)
    )
    assert one.table.equals(other.table)


@pytest.mark.parametrize("wrong", [{"method": "lda"}, {"method": "svm", "folds": 3}])
def test_costs_where_there_are_none_to_choose_are_refused(blobs, wrong):
    with pytest.raises(TrainingDataError, match="costs are tried for logistic and svm"):
        train(*blobs, costs=[1.0, 2.0], **wrong)


def test_only_a_better_model_becomes_champion(tracker, blobs):
    frame, labels = blobs
    options = {"name": "contest", "tracker": tracker}
    weak = train(frame.select("^Metadata_.*$", "Nuclei_F_3"), labels, trees=2, **options)
    strong = train(frame, labels, trees=20, **options)
    again = train(frame, labels, trees=20, **options)
    other_split = train(frame, labels, trees=20, by="cell", **options)
    assert [result.promotion.promoted for result in (weak, strong, again, other_split)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert "not comparable" in other_split.promotion.reason
    assert tracker.resolve("models:/contest@champion").version == strong.registered.version
    assert tracker.resolve("models:/contest@candidate").version == other_split.registered.version
    assert tracker.promote("contest", "4", force=True).promoted
    assert tracker.resolve("models:/contest@champion").version == "4"


def test_unknown_models_are_named(tracker):
    with pytest.raises(UnknownNameError, match="models:/nothing@champion"):
        load_model("models:/nothing@champion", tracker.tracking_uri)
    with pytest.raises(ConfigurationError, match="is not models:/"):
        load_model("models:/a/b/c", tracker.tracking_uri)


def test_a_run_that_cannot_be_logged_is_marked_failed(tracker, blobs):
    result = train(*blobs, trees=2)
    broken = replace(result.scores, per_class=None)
    with pytest.raises(AttributeError):
        tracker.log_training("broken", result.model, broken, result.summary)
    experiment = tracker.client.get_experiment_by_name("broken")
    (run,) = tracker.client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"


def test_the_gate_compares_like_with_like():
    champion = Standing("1", 0.8, "Metadata_Well", "a, b", "held-out cells")
    assert judge(champion, None).promoted
    assert judge(replace(champion, metric=0.81), champion).promoted
    assert not judge(replace(champion, metric=0.8), champion).promoted
    assert not judge(replace(champion, metric=0.9, classes="a, c"), champion).promoted
    assert not judge(replace(champion, metric=0.9, split_by="cell"), champion).promoted
    assert not judge(replace(champion, metric=None), None).promoted


def test_heavy_libraries_load_only_when_used():
    code = (
        "import sys, phenolake.modeling;"
        "print(*{'torch', 'mlflow', 'sklearn', 'numba', 'matplotlib', 'scipy'} & set(sys.modules))"
    )
    path = [entry for entry in sys.path if entry]
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout.strip() == ""
