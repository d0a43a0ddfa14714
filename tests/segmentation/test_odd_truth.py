"""Truth masks with gaps, shared numbers, touching pieces: what scores and comparisons make of them."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from phenolake.errors import ConfigurationError, ImageReadError, MaskShapeError
from phenolake.evaluation import segmentation_scores
from phenolake.importing.annotated import annotated_images
from phenolake.stages.segmentation_scores import OVERALL, available_methods, compare_methods


def squares(numbers, dtype=np.uint16):
    labels = np.zeros((20, 60), dtype)
    for place, number in enumerate(numbers):
        labels[5:15, 5 + 18 * place : 15 + 18 * place] = number
    return labels


def test_gaps_in_numbers_change_nothing():
    plain = segmentation_scores(squares([1, 2, 3]), squares([1, 2, 3]))
    gaps = segmentation_scores(squares([7, 40_000, 3]), squares([900, 2, 65_535]))
    assert plain.equals(gaps)
    top = np.iinfo(np.int64).max
    huge = segmentation_scores(squares([top, top - 1, 5], np.int64), squares([1, 2, 3]))
    assert plain.equals(huge)


def test_pieces_of_one_number_are_one_object():
    row = segmentation_scores(squares([1, 1, 2]), squares([1, 2, 3]), (0.5,)).row(0, named=True)
    # The first two squares are one object of twice the area: one half reaches IoU 0.5 exactly.
    assert (row["tp"], row["fp"], row["fn"]) == (2, 1, 0)
    assert row["splits"] == 1


def test_touching_objects_of_one_number_count_as_a_merge_of_the_truth():
    touching = np.zeros((10, 30), int)
    touching[2:8, 2:26] = 1
    two = touching.copy()
    two[2:8, 14:26] = 2
    row = segmentation_scores(two, touching, (0.7,)).row(0, named=True)
    assert (row["tp"], row["fp"], row["fn"], row["merges"]) == (0, 1, 2, 1)


def write(folder, name, image, mask):
    for part, values in (("images", image), ("masks", mask)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / part / f"{name}.tif", values)


def test_truth_that_is_no_numbered_mask_is_a_problem_and_the_rest_is_scored(tmp_path):
    good = squares([1, 2, 3])
    write(tmp_path, "good", (good * 500).astype(np.uint16), good)
    write(tmp_path, "foreground", good, (good > 0).astype(np.uint8) * 255)
    write(tmp_path, "fractions", good, good.astype(np.float32) / 2)
    write(tmp_path, "negative", good, good.astype(np.int16) - 1)
    write(tmp_path, "shape", good[:, :40], good)
    images = annotated_images(tmp_path)
    assert [image.name for image in images] == sorted(
        ["good", "foreground", "fractions", "negative", "shape"]
    )
    ready, missing = available_methods()
    compared = compare_methods(images, {"classical": ready["classical"]}, (0.5,))
    assert len(compared.problems) == 4
    assert {problem.problem for problem in compared.problems} == {"unreadable_truth"}
    assert compared.scores["images"].to_list() == [1, 1]
    assert OVERALL in compared.scores["condition"].to_list()
    assert set(missing).isdisjoint(ready)


def test_what_cannot_be_read_is_named(tmp_path):
    good = squares([1, 2, 3])
    write(tmp_path, "a", good, (good > 0).astype(np.uint8) * 255)
    with pytest.raises(ImageReadError, match="a number per object"):
        annotated_images(tmp_path)[0].read()
    write(tmp_path, "a", good[:5], good)
    with pytest.raises(MaskShapeError, match="a: mask shape"):
        annotated_images(tmp_path)[0].read()
    with pytest.raises(ConfigurationError, match="no image with a mask"):
        annotated_images(tmp_path / "nowhere")


def test_masks_beside_their_images_are_found(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", squares([1, 2, 3]))
    tifffile.imwrite(tmp_path / "x_masks.tif", squares([1, 2, 3]))
    tifffile.imwrite(tmp_path / "alone.tif", squares([1, 2, 3]))
    (image,) = annotated_images(tmp_path)
    assert (image.name, image.condition) == ("x", "all")
    plane, labels = image.read()
    assert plane.shape == (1, 20, 60)
    assert labels.max() == 3
