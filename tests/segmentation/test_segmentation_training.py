"""Training of segmentation networks: examples, splits, targets, the loop, the whole workflow."""

import numpy as np
import pytest
from imageio.v3 import imwrite

from phenolake.errors import PhenolakeError, TrainingDataError
from phenolake.modeling import Tracker
from phenolake.segmentation.compact_network import CompactLayout, build_compact
from phenolake.segmentation.compact_weights import read_compact, weights_file
from phenolake.segmentation.learning.augmentation import draw_crop, targets_of
from phenolake.segmentation.learning.examples import (
    make_example,
    read_examples,
    simulated_examples,
    split_examples,
)
from phenolake.segmentation.learning.loop import TrainingSettings, train_compact
from phenolake.segmentation.learning.registry import record_training
from phenolake.segmentation.learning.workflow import train_segmentation

TINY = CompactLayout((8, 16))


def field(seed, size=96):
    """Round nuclei on a dark field."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.uint16)
    for number, (cy, cx) in enumerate(rng.uniform(8, size - 8, (7, 2)), start=1):
        labels[(np.hypot(y - cy, x - cx) < rng.uniform(5, 8)) & (labels == 0)] = number
    return (20 + 150 * (labels > 0) + rng.normal(0, 4, labels.shape)).astype(np.uint8), labels


def write_folder(folder, count=12):
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    rows = ["id,condition"]
    for number in range(count):
        image, labels = field(number)
        imwrite(folder / "images" / f"f{number}.png", image)
        imwrite(folder / "masks" / f"f{number}.png", labels)
        rows.append(f"f{number},{'odd' if number % 2 else 'even'}")
    (folder / "index.csv").write_text("\n".join(rows))
    return folder


def examples(count=4):
    return [make_example(f"e{n}", "c", *field(n)) for n in range(count)]


def settings(**changes):
    return TrainingSettings(
        **{"steps": 4, "steps_per_round": 2, "batch_size": 2, "crop": 32, **changes}
    )


def test_examples_of_both_layouts_are_read(tmp_path):
    first = read_examples(write_folder(tmp_path / "a"))
    image, labels = field(0)
    (tmp_path / "b").mkdir()
    imwrite(tmp_path / "b" / "x y.tif", image)
    imwrite(tmp_path / "b" / "x y_masks.tif", labels)
    second = read_examples(tmp_path / "b")
    assert {example.condition for example in first} == {"odd", "even"}
    assert [example.name for example in second] == ["x y"]
    assert second[0].labels.max() == first[0].labels.max()


def test_a_folder_without_pairs_says_what_is_expected(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(PhenolakeError, match=r"images/NAME\.png"):
            read_examples(folder)


def test_a_damaged_image_is_named(tmp_path):
    folder = write_folder(tmp_path / "a", 2)
    (folder / "images" / "f1.png").write_bytes(b"no picture")
    with pytest.raises(PhenolakeError, match=r"f1\.png"):
        read_examples(folder)


def test_mask_of_another_shape_names_the_image():
    with pytest.raises(TrainingDataError, match="plate7"):
        make_example("plate7", "c", np.zeros((4, 4)), np.zeros((4, 5), int))


def test_masks_with_gaps_in_their_numbers_are_renumbered():
    labels = np.zeros((9, 9), int)
    labels[1:3, 1:3], labels[5:8, 5:8] = 4, 900
    assert sorted(np.unique(make_example("x", "c", labels * 1.0, labels).labels)) == [0, 1, 2]


def test_parts_share_no_image_and_each_has_every_condition(tmp_path):
    parts = split_examples(read_examples(write_folder(tmp_path / "a", 40)), test=0.2)
    names = [example.name for part in parts.values() for example in part]
    assert len(names) == len(set(names)) == 40
    assert all({e.condition for e in parts[part]} == {"odd", "even"} for part in parts)


def test_a_left_out_condition_is_the_whole_test_part(tmp_path):
    parts = split_examples(read_examples(write_folder(tmp_path / "a")), left_out="odd")
    assert {e.condition for e in parts["test"]} == {"odd"}
    assert {e.condition for e in (*parts["train"], *parts["validation"])} == {"even"}
    with pytest.raises(TrainingDataError, match="there are even, odd"):
        split_examples(parts["test"] + parts["train"], left_out="blue")


def test_targets_mark_objects_and_their_size():
    labels = np.zeros((40, 40), np.int32)
    labels[4:20, 4:20] = 1
    flow_y, _, inside, log_diameter = targets_of(labels)
    assert np.array_equal(inside, labels > 0)
    assert np.allclose(log_diameter[labels > 0], np.log2(np.sqrt(4 / np.pi * 256) / 16))
    assert flow_y[5, 12] > 0.9
    assert not log_diameter[labels == 0].any()


def test_crops_keep_image_and_targets_together():
    example = simulated_examples(1, seed=3)[0]
    for seed in range(5):
        crop = draw_crop(example, 96, np.random.default_rng(seed))
        inside = crop.targets[2] > 0
        assert crop.brightness.shape == (96, 96)
        assert np.isfinite(crop.brightness).all()
        if inside.sum() > 50 and (~inside).sum() > 50:
            assert crop.brightness[inside].mean() > crop.brightness[~inside].mean() + 0.1


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path):
    whole = train_compact(examples(), layout=TINY, settings=settings())

    class Killed(Exception):
        pass

    def kill(row):
        raise Killed

    with pytest.raises(Killed):
        train_compact(
            examples(), layout=TINY, settings=settings(), checkpoint=tmp_path, on_round=kill
        )
    resumed = train_compact(examples(), layout=TINY, settings=settings(), checkpoint=tmp_path)
    for name, value in whole.network.state_dict().items():
        assert (value == resumed.network.state_dict()[name]).all(), name
    assert [row["step"] for row in resumed.history] == [2.0, 4.0]


def test_a_checkpoint_of_other_starting_weights_is_not_taken(tmp_path):
    def train(start_from, folder):
        return train_compact(
            examples(), layout=TINY, settings=settings(), start_from=start_from, checkpoint=folder
        )

    first, second = (build_compact(TINY).state_dict() for _ in range(2))
    train(first, tmp_path / "shared")
    after_another = train(second, tmp_path / "shared").network.state_dict()
    alone = train(second, tmp_path / "own").network.state_dict()
    assert all((value == after_another[name]).all() for name, value in alone.items())


def test_blending_goes_back_part_of_the_way_to_the_starting_weights():
    start = build_compact(TINY).state_dict()
    trained, blended = (
        train_compact(
            examples(), layout=TINY, settings=settings(blend=blend), start_from=start
        ).network.state_dict()
        for blend in (0.0, 0.25)
    )
    for name, value in start.items():
        if value.dtype.is_floating_point:
            expected = 0.25 * value + 0.75 * trained[name]
            assert np.allclose(blended[name], expected, atol=1e-6), name


def test_training_lowers_the_loss():
    outcome = train_compact(
        examples(),
        layout=TINY,
        settings=settings(steps=150, steps_per_round=50, batch_size=4, learning_rate=1e-2),
    )
    losses = [row["flow_loss"] + row["probability_loss"] for row in outcome.history]
    assert losses[-1] < 0.8 * losses[0]


def test_training_stops_when_the_score_no_longer_rises_and_keeps_the_best():
    scores = iter([0.1, 0.9, 0.5, 0.4, 0.3, 0.2])
    outcome = train_compact(
        examples(),
        layout=TINY,
        settings=settings(steps=12, patience=2),
        judge=lambda network: next(scores),
    )
    assert outcome.best_round == 2
    assert len(outcome.history) == 4


def test_a_folder_becomes_judged_and_registered_weights(tmp_path):
    trained = train_segmentation(
        write_folder(tmp_path / "a"),
        tmp_path / "out",
        base=None,
        settings=settings(),
        test=0.25,
        validation=0.2,
        command="phenolake models train a",
    )
    assert {"even", "odd", "all"} == set(trained.scores["condition"])
    assert trained.judged_on == "test"
    card = (tmp_path / "out" / "README.md").read_text()
    assert trained.weights_sha256 in card
    assert "phenolake models train a" in card
    _, facts = read_compact(tmp_path / "out" / "compact.safetensors")
    assert facts["Images"] == "12 of a"
    tracker = Tracker(f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}")
    first, reason = record_training(trained, tracker, "nuclei")
    assert reason == "first champion"
    kept = {file.path for file in tracker.client.list_artifacts(first.run_id, "model")}
    assert {"model/compact.safetensors", "model/curves.png", "model/overlays.png"} <= kept
    assert "model/checkpoints" not in kept
    second, reason = record_training(trained, tracker, "nuclei")
    assert reason.startswith("no better")
    assert tracker.resolve("models:/nuclei@champion").version == first.version
    assert tracker.resolve("models:/nuclei@candidate").version == second.version


def test_a_registered_network_is_fetched_by_its_alias(tmp_path, monkeypatch):
    monkeypatch.setenv("PHENOLAKE_HOME", str(tmp_path / "home"))
    trained = train_segmentation(
        write_folder(tmp_path / "a"), tmp_path / "out", base=None, settings=settings()
    )
    version, _ = record_training(trained, Tracker(), "nuclei")
    path = weights_file("models:/nuclei@champion")
    assert path.read_bytes() == (tmp_path / "out" / "compact.safetensors").read_bytes()
    assert version.version in path.parts
