"""Crops measured and classified with folds: held-out scores, calibration, novelty, commands."""

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from phenolake.cli.models import models_app
from phenolake.errors import TrainingDataError
from phenolake.modeling import predict, read_model, save_model, train
from phenolake.modeling.calibration import (
    calibration_curve,
    cross_fitted,
    expected_calibration_error,
    fit_temperature,
    tempered,
)
from phenolake.modeling.crop_features import central_object, measure_crops
from phenolake.modeling.labelled_crops import read_crop_folder
from phenolake.modeling.splits import fold_numbers


@pytest.fixture(scope="module")
def shapes():
    """180 crops (n, 24, 24) of disks, bars and rings from six plates, their classes and plates."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:24, :24] - 11.5
    radius = np.hypot(y, x)
    kinds = {
        "bar": (np.abs(y) < 2.5) & (np.abs(x) < 8),
        "disk": radius < 7,
        "ring": (radius < 8) & (radius > 4),
    }
    labels = np.array(list(kinds) * 60)
    pixels = np.stack([120 * kinds[name] + rng.normal(30, 6, (24, 24)) for name in labels])
    plates = np.repeat([f"P{i}" for i in range(6)], 30)
    return pixels.clip(0, 255).astype(np.uint8), labels, pl.DataFrame({"plate": plates})


@pytest.fixture(scope="module")
def trained(shapes):
    crops, labels, keys = shapes
    return train(crops, labels, keys=keys, by="plate", method="lda", folds=3)


def test_a_model_with_folds_is_judged_on_every_cell_and_takes_crops(trained, shapes):
    assert len(trained.validation) == 180
    assert trained.scores.metrics["weighted_f1"] > 0.95
    said = predict(shapes[0], trained.model)
    assert said.columns == [
        "label", "probability_bar", "probability_disk", "probability_ring", "uncertainty", "novelty",
        "expected_entropy", "mutual_information",
    ]  # fmt: skip
    assert trained.tables["left_out_classes"]["label"].to_list() == ["bar", "disk", "ring"]


def test_a_model_with_folds_comes_back_from_files(trained, shapes, tmp_path):
    save_model(trained.model, tmp_path)
    again = read_model(tmp_path)
    assert predict(shapes[0], again, unknown=True).equals(
        predict(shapes[0], trained.model, unknown=True)
    )


def test_methods_joined_by_plus_vote(shapes):
    crops, labels, keys = shapes
    features = measure_crops(crops[:, None])
    result = train(features, labels, keys=keys, by="plate", method="lda+logistic")
    members = [member.predict_proba(features) for member in result.model.members]
    np.testing.assert_allclose(result.model.predict_proba(features), np.mean(members, axis=0))


def test_folds_keep_plates_together_and_more_folds_than_plates_are_refused(shapes):
    _, labels, keys = shapes
    folds = keys.with_columns(fold=fold_numbers(keys, "plate", 3, 0, labels))
    assert folds.group_by("plate").agg(pl.col("fold").n_unique())["fold"].max() == 1
    assert sorted(folds["fold"].unique()) == [0, 1, 2]
    with pytest.raises(TrainingDataError, match=r"6 group.s. can't make 7 folds"):
        fold_numbers(keys, "plate", 7, 0, labels)


def test_the_object_in_the_middle_is_measured_not_its_neighbour():
    crop = np.full((24, 24), 10, np.uint8)
    crop[9:15, 9:15] = 120
    crop[0:4, 0:24] = 250
    mask = central_object(crop)
    assert mask[9:15, 9:15].all()
    assert not mask[:4].any()


def test_features_do_not_depend_on_which_crops_are_measured_together(shapes):
    crops = shapes[0][:7, None]
    alone = pl.concat(measure_crops(crop[None]) for crop in crops)
    together = measure_crops(crops)
    # Zernike moments count the pixels on their circle, where rounding decides.
    for name in (name for name in together.columns if "Zernike" not in name):
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_an_empty_crop_still_has_a_row_of_features():
    assert measure_crops(np.zeros((1, 1, 16, 16), np.uint8)).height == 1
    assert measure_crops(np.zeros((0, 1, 16, 16), np.uint8)).height == 0


def test_temperature_undoes_a_known_sharpening(rng):
    honest = rng.dirichlet(np.ones(4), 4000)
    truth = (honest.cumsum(axis=1) < rng.random((4000, 1))).sum(axis=1)
    sharp = tempered(honest, 1 / 3)
    assert fit_temperature(sharp, truth) == pytest.approx(3, rel=0.1)
    assert expected_calibration_error(sharp, truth) > 0.1
    groups = np.arange(4000) % 4
    assert expected_calibration_error(cross_fitted(sharp, truth, groups), truth) < 0.04


def test_calibration_error_of_a_worked_example():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    truth = np.array([0, 1, 0, 1])
    curve = calibration_curve(probabilities, truth, bins=10)
    assert curve["accuracy"].to_list() == [1.0, 0.5]
    assert expected_calibration_error(probabilities, truth, 10) == pytest.approx(0.4)


def test_commands_train_predict_list_and_fetch(shapes, tmp_path, monkeypatch):
    monkeypatch.setenv("PHENOLAKE_HOME", str(tmp_path / "home"))
    crops, labels, keys = shapes
    folder = tmp_path / "crops"
    folder.mkdir()
    np.savez(folder / "crops.npz", images=crops)
    keys.with_columns(shape=pl.Series(labels)).write_csv(folder / "index.csv")
    run = CliRunner().invoke
    said = run(models_app, ["classify", str(folder), "--label", "shape", "--folds", "2"])
    assert said.exit_code == 0, said.output
    assert "models:/cells/1 as champion" in said.output
    out = tmp_path / "said.csv"
    words = ["predict", str(folder), "--model", "models:/cells@champion", "--out", str(out)]
    said = run(models_app, [*words, "--label", "shape"])
    assert "weighted F1" in said.output
    assert (pl.read_csv(out)["label"] == pl.Series(labels)).mean() > 0.95
    assert "models:/cells/1 @candidate, @champion" in run(models_app, ["list"]).output
    assert run(models_app, ["fetch", "models:/cells/1", "--out", str(tmp_path)]).exit_code == 0
    assert run(models_app, ["register", str(tmp_path / "model")]).exit_code == 0


def test_crop_folders_that_can_not_be_used_are_named(tmp_path):
    with pytest.raises(TrainingDataError, match="no crops there"):
        read_crop_folder(tmp_path)
    np.savez(tmp_path / "crops.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(TrainingDataError, match="not a usable array"):
        read_crop_folder(tmp_path)
    np.savez(tmp_path / "crops.npz", images=np.zeros((2, 8, 8), np.uint8))
    (tmp_path / "index.csv").write_text("label\na\n")
    with pytest.raises(TrainingDataError, match="1 rows for 2 crops"):
        read_crop_folder(tmp_path)
    (tmp_path / "index.csv").write_text("label\na\nb\n")
    with pytest.raises(TrainingDataError, match=r"no column 'plate' .found: label"):
        read_crop_folder(tmp_path).column("plate")
