import numpy as np
import pytest
import torch

from phenolake.errors import ModelFileError, TrainingDataError, TrainingDivergedError
from phenolake.modeling import predict, train_network
from phenolake.modeling.trained_network import channel_statistics
from phenolake.modeling.weights import weights_sha256


@pytest.fixture
def train(disks, parts, tiny):
    def run(**options):
        settings = {
            "model": tiny,
            "epochs": 4,
            "learning_rate": 0.01,
            "batch_size": 30,
            "device": "cpu",
        }
        return train_network(*disks, parts, **{**settings, **options})

    return run


def test_a_network_learns_to_tell_disks_apart(train, disks, parts):
    rows = []
    model = train(epochs=8, on_epoch=rows.append)
    said = predict(disks[0], model)
    held_out = parts == "validation"
    assert (said["label"].to_numpy() == disks[1])[held_out].mean() > 0.9
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    assert rows == model.history
    assert rows[-1]["validation_loss"] < rows[0]["validation_loss"]


def test_the_last_row_of_the_curves_is_what_the_model_does(train, disks, parts):
    model = train()
    held_out = parts == "validation"
    said = predict(disks[0][held_out], model)
    accuracy = (said["label"].to_numpy() == disks[1][held_out]).mean()
    assert model.history[-1]["validation_accuracy"] == pytest.approx(accuracy)


class Killed(Exception):
    pass


@pytest.mark.parametrize("class_balanced", [False, True])
def test_a_killed_training_ends_with_the_weights_of_one_never_stopped(
    train, tmp_path, class_balanced
):
    def kill_after_two(row):
        if row["epoch"] == 2:
            raise Killed

    options = {"checkpoint": tmp_path, "class_balanced": class_balanced}
    with pytest.raises(Killed):
        train(**options, on_epoch=kill_after_two)
    epochs = []
    resumed = train(**options, on_epoch=lambda row: epochs.append(row["epoch"]))
    assert epochs == [3, 4]
    assert weights_sha256(resumed) == weights_sha256(train(class_balanced=class_balanced))
    assert len(resumed.history) == 4


def test_checkpoints_of_other_settings_or_data_are_left_alone(train, tmp_path, disks):
    train(checkpoint=tmp_path, epochs=1)
    train(checkpoint=tmp_path, epochs=1, seed=5)
    assert len(list(tmp_path.glob("*.pt"))) == 2
    shorter = train(checkpoint=tmp_path, epochs=3)
    again = train(checkpoint=tmp_path, epochs=2)
    assert [len(model.history) for model in (shorter, again)] == [3, 2]
    assert not list(tmp_path.glob("*.partial"))


def test_a_checkpoint_that_holds_code_is_not_run(train, tmp_path):
    train(checkpoint=tmp_path, epochs=1)
    (path,) = tmp_path.glob("*.pt")
    torch.save({"network": print}, path)
    with pytest.raises(ModelFileError, match="checkpoint"):
        train(checkpoint=tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelFileError, match="checkpoint"):
        train(checkpoint=tmp_path)


def test_training_depends_on_the_seed_alone(train):
    torch.manual_seed(1)
    first = train(epochs=2)
    before = torch.get_rng_state()
    second = train(epochs=2)
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()
    assert weights_sha256(first) == weights_sha256(second)
    assert weights_sha256(first) != weights_sha256(train(epochs=2, seed=1))


def test_balanced_draws_find_the_rare_class(disks, tiny):
    crops, labels = disks
    rare = np.flatnonzero(labels == "large")[:14]
    chosen = np.concatenate([rare, np.flatnonzero(labels == "small")])
    split = np.where(np.arange(len(chosen)) % 5, "train", "validation")
    model = train_network(
        crops[chosen], labels[chosen], split, model=tiny, epochs=8, learning_rate=0.01,
        batch_size=20, class_balanced=True, device="cpu",
    )  # fmt: skip
    said = predict(crops[rare], model)
    assert (said["label"] == "large").mean() > 0.7


def test_channel_statistics_equal_those_of_numpy(rng):
    crops = rng.integers(0, 256, (20, 3, 8, 8)).astype(np.uint8)
    crops[:, 2] = 9
    mean, sd = channel_statistics(crops)
    np.testing.assert_allclose(mean, crops.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(sd[:2], crops[:, :2].std(axis=(0, 2, 3), ddof=1), rtol=1e-6)
    assert sd[2] == pytest.approx(1 / np.sqrt(20))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crops": np.full((160, 2, 16, 16), np.nan)}, "NaN"),
        ({"crops": np.zeros((160, 2, 16, 12), np.uint8)}, "square"),
        ({"crops": np.zeros((150, 2, 16, 16), np.uint8)}, "150 crops"),
        ({"labels": ["small"] * 160}, "only one class"),
        ({"labels": ["small"] * 159 + ["large"]}, "one cell only"),
        ({"crops": np.zeros((160, 3, 16, 16), np.uint8)}, "layout is for"),
    ],
)
def test_data_that_cannot_train_are_refused(disks, parts, tiny, change, message):
    data = {"crops": disks[0], "labels": disks[1], **change}
    with pytest.raises(TrainingDataError, match=message):
        train_network(data["crops"], data["labels"], parts, model=tiny, epochs=1)


def test_a_diverging_training_stops_with_one_sentence(train):
    with pytest.raises(TrainingDivergedError, match="lower the learning rate"):
        train(learning_rate=1e30, epochs=3, augmentation=False)


def test_predictions_have_probabilities_uncertainty_and_novelty(train, disks, rng):
    model = train(epochs=6)
    said = predict(disks[0], model)
    assert said.columns == [
        "label",
        "probability_large",
        "probability_small",
        "uncertainty",
        "novelty",
    ]
    np.testing.assert_allclose(said["probability_large"] + said["probability_small"], 1, atol=1e-6)
    assert said["uncertainty"].is_between(0, np.log(2) + 1e-6).all()
    noise = rng.integers(0, 256, (50, 2, 16, 16)).astype(np.uint8)
    assert predict(noise, model)["novelty"].mean() > said["novelty"].mean() + 0.3
    assert predict(disks[0][:0], model).height == 0
    with pytest.raises(TrainingDataError, match=r"\(2, 16, 16\)"):
        predict(disks[0][:, :1], model)
    with pytest.raises(TrainingDataError, match="array of crops"):
        predict(said, model)


def test_16_bit_crops_are_judged_as_their_8_bit_form(train, disks):
    model = train(epochs=1)
    wide = disks[0].astype(np.uint16) * 256 + 17
    assert predict(wide, model).equals(predict(disks[0], model))
