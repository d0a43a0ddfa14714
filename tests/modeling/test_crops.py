import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenolake.errors import TrainingDataError
from phenolake.modeling.crops import as_uint8, cut_crops


def naive_crop(image, y, x, size):
    out = np.zeros((image.shape[0], size, size), image.dtype)
    for row in range(size):
        for column in range(size):
            source = (y - size // 2 + row, x - size // 2 + column)
            if 0 <= source[0] < image.shape[1] and 0 <= source[1] < image.shape[2]:
                out[:, row, column] = image[:, source[0], source[1]]
    return out


def test_a_crop_has_its_centre_at_half_the_size_and_zeros_beyond_the_border():
    image = np.arange(1, 17, dtype=np.uint8).reshape(1, 4, 4)
    crops = cut_crops(image, np.array([[0.0, 1.0]]), size=4)
    assert crops.pixels.tolist() == [[[[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 2, 3], [0, 5, 6, 7]]]]
    assert crops.objects.tolist() == [1]


@given(st.integers(1, 9), st.lists(st.tuples(st.integers(0, 6), st.integers(0, 8)), max_size=5))
def test_crops_equal_those_cut_pixel_by_pixel(size, centres):
    image = np.random.default_rng(0).integers(1, 255, (3, 7, 9)).astype(np.uint8)
    crops = cut_crops(image, np.array(centres, dtype=float).reshape(-1, 2), size)
    assert crops.pixels.shape == (len(centres), 3, size, size)
    for crop, (y, x) in zip(crops.pixels, centres, strict=True):
        np.testing.assert_array_equal(crop, naive_crop(image, y, x, size))


def test_labels_keep_their_numbers_and_are_cut_around_their_centroids():
    labels = np.zeros((20, 20), np.int32)
    labels[2:5, 3:6] = 7
    labels[10:15, 12:17] = 4
    image = np.random.default_rng(0).integers(0, 2**16, (2, 20, 20)).astype(np.uint16)
    crops = cut_crops(image, labels, size=6)
    assert crops.objects.tolist() == [4, 7]
    assert crops.objects.dtype == np.int32
    np.testing.assert_array_equal(crops.pixels[1], image[:, 0:6, 1:7] // 256)


def test_an_image_without_nuclei_yields_no_crop():
    image = np.zeros((2, 20, 20), np.uint16)
    for nuclei in (np.zeros((20, 20), np.int32), np.empty((0, 2))):
        crops = cut_crops(image, nuclei)
        assert crops.pixels.shape == (0, 2, 32, 32)
        assert len(crops.objects) == 0


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([0, 255, 256, 65535], np.uint16), [0, 0, 1, 255]),
        (np.array([0, 0.5, 1.0], np.float32), [0, 128, 255]),
        (np.array([0, 9, 255], np.uint8), [0, 9, 255]),
        (np.array([False, True]), [0, 255]),
        (np.array([0, 2**32 - 1], np.uint32), [0, 255]),
    ],
)
def test_every_pixel_type_is_scaled_to_8_bit(pixels, expected):
    assert as_uint8(pixels).tolist() == expected
    assert as_uint8(pixels).dtype == np.uint8


def test_full_scale_spreads_12_bit_pixels_over_8_bit():
    pixels = np.array([0, 16, 4095, 5000], np.uint16)
    assert as_uint8(pixels, full_scale=4095).tolist() == [0, 1, 255, 255]


@pytest.mark.parametrize(
    "pixels",
    [np.array([np.nan]), np.array([np.inf]), np.array([-0.1]), np.array([300.0]), np.array([-1])],
)
def test_pixels_that_are_no_image_are_refused(pixels):
    with pytest.raises(TrainingDataError, match="pixels"):
        as_uint8(pixels)


def test_nan_outside_all_crops_does_no_harm():
    image = np.zeros((1, 40, 40))
    image[0, 39, 39] = np.nan
    assert cut_crops(image, np.array([[5, 5]]), size=8).pixels.max() == 0


def test_a_centre_outside_the_image_is_named():
    with pytest.raises(TrainingDataError, match=r"y=50, x=2"):
        cut_crops(np.zeros((1, 40, 40), np.uint8), np.array([[50, 2]]))
