import subprocess
import sys
from dataclasses import replace

import pytest

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.modeling import Tracker, load_model, predict, train
from phenolake.modeling.champion import Standing, judge


@pytest.fixture(scope="module")
def tracker(tmp_path_factory):
    """An MLflow store in SQLite; making one takes seconds, so the module shares it."""
    return Tracker(f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/store/mlflow.db")


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
        "calibration.png", "confusion_matrix.png", "model", "model/README.md", "model/model.json",
        "model/model.safetensors", "per_class.csv",
    ]  # fmt: skip
    assert result.summary.by == "Metadata_Well"
    assert predict(blobs[0], "models:/blobs@candidate", tracker.tracking_uri).equals(
        predict(blobs[0], result.model)
    )


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
    champion = Standing("1", 0.8, "Metadata_Well", "a, b")
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
