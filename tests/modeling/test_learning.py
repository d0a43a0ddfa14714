"""The loop of all networks: rates, losses, early stopping, memory, disks and views."""

import errno
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phenolake.errors import (
    ConfigurationError,
    DiskFullError,
    ModelFileError,
    TrainingDataError,
    TrainingMemoryError,
)
from phenolake.modeling import (
    Architecture,
    Recipe,
    ResNet18,
    read_encoder,
    save_model,
    shrink_field,
    train_encoder,
    train_network,
)
from phenolake.modeling.learning.augmentation import vary_intensity
from phenolake.modeling.learning.classification import ClassificationTask
from phenolake.modeling.learning.losses import cell_losses, two_view_losses
from phenolake.modeling.learning.pool import CropPool
from phenolake.modeling.learning.rates import rate_factor
from phenolake.modeling.trained_network import pixel_statistics
from phenolake.modeling.weights import weights_sha256

RECIPE = Recipe(learning_rate=0.01, batch_size=30)


@pytest.fixture
def train(disks, parts, tiny):
    def run(**options):
        settings = {"model": tiny, "epochs": 4, "recipe": RECIPE, "device": "cpu"}
        return train_network(*disks, parts, **{**settings, **options})

    return run


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", (1, 1, 1, 1)),
        ("step", (1, 0.1, 0.01, 0.01)),
        ("cosine", (1, 0.505, None, 0.01)),
    ],
)
def test_rates_fall_as_their_schedule_says(schedule, expected):
    for progress, value in zip((0.0, 0.5, 0.75, 1.0), expected, strict=True):
        if value is not None:
            assert rate_factor(schedule, progress) == pytest.approx(value)


@given(st.sampled_from(["constant", "step", "cosine"]), st.floats(0.01, 1))
def test_rates_rise_while_warming_up_and_never_after(schedule, warm_up):
    steps = np.linspace(0, 1, 50)
    rates = [rate_factor(schedule, step, warm_up) for step in steps]
    assert all(0 <= rate <= 1 for rate in rates)
    for (step, rate), (after, later) in pairwise(zip(steps, rates, strict=True)):
        if after < warm_up:
            assert later > rate
        elif step >= warm_up:
            assert later <= rate


def test_losses_are_those_of_their_formulas():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 3.0]])
    codes = torch.tensor([0, 1])
    p = (logits.exp() / logits.exp().sum(dim=1, keepdim=True)).numpy()
    own = p[[0, 1], [0, 1]]
    np.testing.assert_allclose(cell_losses(logits, codes), -np.log(own), rtol=1e-5)
    focal = cell_losses(logits, codes, "focal")
    np.testing.assert_allclose(focal, -((1 - own) ** 2) * np.log(own), rtol=1e-5)
    forgiving = cell_losses(logits, codes, "generalized")
    np.testing.assert_allclose(forgiving, (1 - own**0.7) / 0.7, rtol=1e-5)
    smooth = cell_losses(logits, codes, label_smoothing=0.3)
    reference = torch.nn.functional.cross_entropy(
        logits, codes, label_smoothing=0.3, reduction="none"
    )
    torch.testing.assert_close(smooth, reference)
    weighted = cell_losses(logits, codes, class_weights=torch.tensor([2.0, 0.5, 1.0]))
    np.testing.assert_allclose(weighted, -np.log(own) * [2.0, 0.5], rtol=1e-5)


def test_the_contrastive_loss_is_that_of_a_loop_over_views(rng):
    views = torch.from_numpy(rng.normal(size=(8, 5)))
    losses, found = two_view_losses(views, 0.5)
    unit = (views / views.norm(dim=1, keepdim=True)).numpy()
    both = []
    for one in range(8):
        partner = (one + 4) % 8
        others = [np.exp(unit[one] @ unit[k] / 0.5) for k in range(8) if k != one]
        both.append(-np.log(np.exp(unit[one] @ unit[partner] / 0.5) / sum(others)))
    np.testing.assert_allclose(losses, np.mean([both[:4], both[4:]], axis=0), rtol=1e-5)
    twins = torch.cat([views[:4], views[:4]])
    assert two_view_losses(twins)[1].all()
    assert len(found) == 4


def test_gains_leave_the_ratio_of_pixels_and_vary_by_channel(rng):
    crops = torch.from_numpy(rng.integers(1, 200, (500, 2, 3, 3)).astype(np.uint8))
    gains = vary_intensity(crops, torch.Generator().manual_seed(0), 0.3) / crops
    flat = gains.flatten(2)
    torch.testing.assert_close(flat, flat[:, :, :1].expand_as(flat))
    logs = flat[:, :, 0].log()
    assert logs.std().item() == pytest.approx(0.3, rel=0.1)
    assert abs(np.corrcoef(logs.T)[0, 1]) < 0.15


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "focal"},
        {"loss": "generalized", "label_smoothing": 0.1},
        {"reweighted": True, "mixup": 0.2},
        {"optimizer": "adamw", "schedule": "cosine", "warm_up": 1, "largest_gradient": 1.0},
        {"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.9, "schedule": "step"},
        {"intensity": 0.2, "precision": "bfloat16"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_recipe_learns_and_depends_on_the_seed_alone(train, change):
    recipe = replace(RECIPE, **change)
    model = train(recipe=recipe, epochs=8)
    assert model.history[-1]["validation_accuracy"] > 0.85
    if "mixup" in change:
        assert weights_sha256(model) == weights_sha256(train(recipe=recipe, epochs=8))


class Killed(Exception):
    pass


def test_a_killed_training_with_every_option_ends_with_the_same_weights(train, tmp_path, tiny):
    recipe = replace(
        RECIPE, optimizer="adamw", schedule="cosine", warm_up=1, largest_gradient=0.5, mixup=0.4,
        intensity=0.1, label_smoothing=0.1, patience=3, precision="bfloat16",
    )  # fmt: skip

    def kill_after_two(row):
        if row["epoch"] == 2:
            raise Killed

    with pytest.raises(Killed):
        train(recipe=recipe, checkpoint=tmp_path, on_epoch=kill_after_two)
    epochs = []
    resumed = train(recipe=recipe, checkpoint=tmp_path, on_epoch=lambda row: epochs.append(row))
    assert [row["epoch"] for row in epochs] == [3, 4]
    assert weights_sha256(resumed) == weights_sha256(train(recipe=recipe))


def test_a_falling_rate_makes_longer_trainings_others(train, tmp_path):
    recipe = replace(RECIPE, schedule="cosine")
    train(recipe=recipe, checkpoint=tmp_path, epochs=1)
    train(recipe=recipe, checkpoint=tmp_path, epochs=2)
    assert len(list(tmp_path.glob("*.pt"))) == 2


def test_a_training_that_gets_no_better_stops_and_keeps_its_best_epoch(train):
    recipe = replace(RECIPE, patience=2, learning_rate=0.05)
    model = train(recipe=recipe, epochs=60)
    losses = [row["validation_loss"] for row in model.history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 3 < 60
    assert weights_sha256(model) != weights_sha256(
        train(recipe=replace(recipe, patience=None), epochs=len(losses))
    )
    until_best = train(recipe=replace(recipe, patience=None), epochs=best + 1)
    np.testing.assert_array_equal(model.state["output.weight"], until_best.state["output.weight"])


def test_a_batch_too_large_for_the_device_is_halved_and_trains_alike(train, monkeypatch):
    whole = train(epochs=2, augmentation=False, model=PLAIN)
    losses, sizes = ClassificationTask.losses, []

    def small_device(self, network, crops, rows, generator):
        if len(crops) > 10:
            raise torch.OutOfMemoryError
        sizes.append(len(crops))
        return losses(self, network, crops, rows, generator)

    monkeypatch.setattr(ClassificationTask, "losses", small_device)
    halved = train(epochs=2, augmentation=False, model=PLAIN)
    assert max(sizes) == 7
    for name, value in whole.state.items():
        np.testing.assert_allclose(halved.state[name], value, atol=1e-4)


def test_a_device_without_memory_for_one_crop_is_named(train, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(ClassificationTask, "losses", full)
    with pytest.raises(TrainingMemoryError, match=r"cpu has no memory .* \(2, 16, 16\)"):
        train()


def test_a_full_disk_is_one_sentence_and_the_last_checkpoint_stays(train, tmp_path, monkeypatch):
    train(checkpoint=tmp_path, epochs=1)
    (kept,) = tmp_path.iterdir()
    content = kept.read_bytes()

    def no_space(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_space)
    with pytest.raises(DiskFullError, match="disk is full"):
        train(checkpoint=tmp_path, epochs=2)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [content]


def test_a_checkpoint_of_another_network_is_named(train, tmp_path):
    train(checkpoint=tmp_path / "one", epochs=1)
    train(checkpoint=tmp_path / "two", epochs=1, model=PLAIN)
    (own,), (other,) = (list((tmp_path / name).iterdir()) for name in ("one", "two"))
    own.write_bytes(other.read_bytes())
    with pytest.raises(ModelFileError, match="of another network"):
        train(checkpoint=tmp_path / "one")


@pytest.mark.parametrize("model", ["multi_scale", "multiple_instance"])
def test_whole_fields_train_a_network_without_segmentation(rng, model):
    labels = ["full", "sparse"] * 12
    fields = [
        shrink_field((rng.random((2, 50, 43)) < (0.4 if label == "full" else 0.1)) * 0.8, 16)
        for label in labels
    ]
    split = np.where(np.arange(24) < 16, "train", "validation")
    trained = train_network(
        np.stack(fields), labels, split, model=model, epochs=8, batch_size=8, device="cpu"
    )
    assert trained.history[-1]["validation_accuracy"] > 0.8


def test_a_field_shrinks_by_whole_blocks_around_its_middle(rng):
    field = rng.integers(0, 256, (2, 11, 9)).astype(np.uint8)
    small = shrink_field(field, 4)
    expected = field[:, 1:9, 0:8].reshape(2, 4, 2, 4, 2).mean(axis=(2, 4))
    np.testing.assert_array_equal(small, np.rint(expected))
    with pytest.raises(TrainingDataError, match="16 px or more"):
        shrink_field(field, 16)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"loss": "hinge"}, "focal"),
        ({"learning_rate": 0}, "above 0"),
        ({"mixup": -1}, "0 or more"),
        ({"label_smoothing": 1.0}, "0..1"),
        ({"patience": 0}, "above 0"),
    ],
)
def test_impossible_recipes_are_refused(change, word):
    with pytest.raises(ConfigurationError, match=word):
        Recipe(**change)


def test_pixel_statistics_equal_those_of_numpy(rng, train):
    crops = rng.integers(0, 256, (9000, 2, 4, 4)).astype(np.uint8)
    rows = np.arange(0, 9000, 2)
    mean, sd = pixel_statistics(crops, rows)
    np.testing.assert_allclose(mean, crops[rows].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(sd, crops[rows].std(axis=0, ddof=1), rtol=1e-4)
    model = train(standardized_by="pixel", epochs=6)
    assert model.mean.shape == (2, 16, 16)
    assert model.history[-1]["train_loss"] < model.history[0]["train_loss"]


def test_crops_that_do_not_fit_a_device_come_batch_by_batch_in_order(rng, monkeypatch):
    crops = rng.integers(0, 256, (50, 1, 3, 3)).astype(np.uint8)
    pool = CropPool(crops, "cpu")
    order = torch.from_numpy(rng.permutation(50)).split(7)
    held = list(pool.batches(order))
    pool._fetches = True
    for (rows, batch), (fetched_rows, fetched) in zip(held, pool.batches(order), strict=True):
        assert torch.equal(rows, fetched_rows)
        assert torch.equal(batch, fetched)
        np.testing.assert_array_equal(batch, crops[rows.numpy()])


#: Batch normalisation would see the halves of a batch.
PLAIN = Architecture(
    2, channels=2, size=16, widths=(4, 8), convolutions=1, hidden=(12,), batch_norm=False
)
SLIM = ResNet18(2, channels=2, size=16, width=8)


def test_an_encoder_tells_disks_apart_without_having_seen_a_label(disks, parts, tmp_path):
    crops, labels = disks
    options = {"layout": SLIM, "epochs": 6, "device": "cpu"}
    encoder = train_encoder(crops, parts, **options)
    history = encoder.history
    assert history[-1]["validation_loss"] < history[0]["validation_loss"]
    embedding = encoder.embed(crops)
    assert embedding.shape == (160, 64)
    train, held = parts == "train", parts == "validation"
    centres = [embedding[train & (labels == name)].mean(axis=0) for name in ("small", "large")]
    distances = [np.linalg.norm(embedding[held] - centre, axis=1) for centre in centres]
    said = np.array(["small", "large"])[np.argmin(distances, axis=0)]
    assert (said == labels[held]).mean() > 0.9
    digest = save_model(encoder, tmp_path)
    again = read_encoder(tmp_path)
    assert weights_sha256(again) == digest
    np.testing.assert_array_equal(again.embed(crops), embedding)
    assert again.embed(crops[:0]).shape == (0, 64)


def test_a_killed_encoder_goes_on_and_a_network_starts_from_it(disks, parts, tmp_path):
    def kill(row):
        raise Killed

    options = {"layout": SLIM, "epochs": 2, "device": "cpu"}
    with pytest.raises(Killed):
        train_encoder(disks[0], parts, checkpoint=tmp_path, on_epoch=kill, **options)
    resumed = train_encoder(disks[0], parts, checkpoint=tmp_path, **options)
    undisturbed = train_encoder(disks[0], parts, **options)
    assert weights_sha256(resumed) == weights_sha256(undisturbed)
    save_model(resumed, tmp_path / "encoder")
    start = tmp_path / "encoder" / "model.safetensors"
    model = train_network(
        *disks, parts, model=SLIM, epochs=1, start_from=start, device="cpu",
        recipe=replace(RECIPE, learning_rate=1e-9),
    )  # fmt: skip
    np.testing.assert_allclose(model.state["body.0.weight"], resumed.state["0.weight"], atol=1e-6)
    assert len(model.settings["start_from"]) == 64


def test_an_encoder_needs_crops_in_both_parts(disks):
    with pytest.raises(TrainingDataError, match="each part needs two"):
        train_encoder(disks[0], np.full(160, "train"), layout=SLIM)
