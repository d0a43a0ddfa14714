"""The outlines picture: size, colours, captions, odd inputs."""

from __future__ import annotations

import io

import numpy as np
import pytest

from phenolake.errors import ConfigurationError, MaskShapeError
from phenolake.pictures import outlines_montage
from segmentation.fields import field


def opened(png):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_nuclei_are_yellow_and_cells_cyan():
    image, nuclei, cells = field(128)
    picture = opened(outlines_montage([image], [{"Nuclei": nuclei, "Cells": cells}], tile=128))
    assert picture.shape == (128, 128, 3)
    assert (picture[nuclei > 0] == (255, 215, 0)).all(axis=-1).any()
    assert (picture[(cells > 0) & (nuclei == 0)] == (0, 200, 255)).all(axis=-1).any()
    grey = (picture == picture[..., :1]).all(axis=-1)
    assert grey[cells == 0].all()


def test_a_montage_of_noisy_fields_stays_small():
    rng = np.random.default_rng(0)
    images = [rng.normal(size=(2, 700, 900)) for _ in range(6)]
    masks = [{"Nuclei": np.zeros((700, 900), np.int32)}] * 6
    png = outlines_montage(images, masks, ["A01", "A02"])
    assert len(png) <= 120_000
    assert opened(png).shape[1] > 300


def test_odd_images_are_drawn():
    labels = np.zeros((5, 9), np.int32)
    images = [np.zeros((5, 9), np.uint8), np.full((1, 5, 9), np.nan), np.full((2, 5, 9), 65535)]
    assert opened(outlines_montage(images, [{"Cells": labels}, {}, {}])).any(axis=None) in (
        True,
        False,
    )


def test_misfits_are_refused():
    with pytest.raises(ConfigurationError):
        outlines_montage([], [])
    with pytest.raises(MaskShapeError, match="image 0, Nuclei"):
        outlines_montage([np.zeros((1, 4, 4))], [{"Nuclei": np.zeros((4, 5), int)}])
