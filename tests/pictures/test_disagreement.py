"""The disagreement picture: colours by fate, counts, odd inputs."""

from __future__ import annotations

import io

import numpy as np
import pytest

from phenolake.errors import MaskShapeError
from phenolake.pictures import disagreement_picture
from phenolake.pictures.disagreement import FATES, fates_of


def scene():
    """One object of each fate: matched, missed, extra, split, merged."""
    truth, guess = np.zeros((40, 100), int), np.zeros((40, 100), int)
    truth[5:15, 5:15] = guess[5:15, 5:15] = 1
    truth[5:15, 25:35] = 2
    guess[5:15, 45:55] = 3
    truth[5:15, 65:85] = 4
    guess[5:15, 65:74], guess[5:15, 76:85] = 4, 5  # IoU 0.45 each
    truth[25:35, 5:12], truth[25:35, 12:19] = 6, 7
    guess[25:35, 5:20] = 6
    return truth, guess


def opened(png):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_every_fate_is_counted_once():
    assert fates_of(*scene()).counts == dict.fromkeys(FATES, 1)


def test_swapping_the_sides_swaps_fates():
    truth, guess = scene()
    assert fates_of(guess, truth).counts == dict.fromkeys(FATES, 1)


def test_objects_are_filled_with_the_colour_of_their_fate():
    truth, guess = scene()
    png = disagreement_picture(np.zeros((40, 100)), truth, guess, "a title", tile=200)
    picture = opened(png)
    third = picture[14 : 14 + 80, 2 * 204 :]
    for place, fate in (
        ((20, 20), "matched"),
        ((20, 60), "missed"),
        ((20, 100), "extra"),
        ((20, 136), "split"),
        ((60, 16), "merged"),
    ):
        assert tuple(third[place]) == FATES[fate]
    legend = picture[-14:].reshape(-1, 3)
    assert all((legend == colour).all(axis=1).any() for colour in FATES.values())
    assert len(png) < 50_000


def test_empty_and_odd_images_are_drawn():
    empty = np.zeros((30, 40), int)
    assert disagreement_picture(np.full((2, 30, 40), np.nan), empty, empty).startswith(b"\x89PNG")
    assert disagreement_picture(np.zeros((1, 1)), np.ones((1, 1), int), np.ones((1, 1), int))
    with pytest.raises(MaskShapeError, match="predicted"):
        disagreement_picture(np.zeros((30, 40)), empty, empty[:10])
