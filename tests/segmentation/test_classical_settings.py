"""Settings of the classical method: each does what its name says, and travels as text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.screens.config import ScreenConfig
from phenolake.segmentation.channels import choose_channels
from phenolake.segmentation.classical import ClassicalSegmenter
from phenolake.segmentation.classical_settings import ClassicalSettings
from phenolake.segmentation.thresholds import local_thresholds, threshold_of
from segmentation.fields import disc, field

ROLES = {"DNA": 0, "GFP": 1}


def found(image, diameter=None, **changed):
    segmenter = ClassicalSegmenter(ClassicalSettings(**changed))
    return segmenter(choose_channels(image, ROLES), diameter, None)


def nuclei_of(plane, **changed):
    return found(np.stack((plane, plane)), **changed)[0]


def test_the_defaults_are_the_method_without_settings():
    assert ClassicalSettings().method == "classical"
    assert ClassicalSegmenter.load("") == ClassicalSegmenter()


@settings(max_examples=40, deadline=None)
@given(
    correction=st.floats(0.1, 10),
    method=st.sampled_from(["otsu", "triangle", "minimum_cross_entropy"]),
    declump=st.sampled_from(["shape", "intensity", "none"]),
    holes=st.booleans(),
    window=st.none() | st.floats(10, 500),
)
def test_settings_travel_as_text(correction, method, declump, holes, window):
    chosen = ClassicalSettings(
        threshold_correction=correction,
        threshold_method=method,
        declump=declump,
        fill_holes=holes,
        threshold_window_px=window,
    )
    name, _, text = chosen.method.partition(":")
    assert name == "classical"
    assert ClassicalSettings.parse(text) == chosen


def test_a_screen_names_its_settings_in_the_method():
    config = ScreenConfig(name="s", segmentation="classical", classical={"declump": "shape"})
    assert config.segmentation_method("auto") == "classical:declump=shape"
    assert (
        ScreenConfig(name="s", classical={"declump": "shape"}).segmentation_method("auto") == "auto"
    )


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("declmp=shape", UnknownNameError, "declump"),
        ("declump=round", ConfigurationError, "shape_and_intensity"),
        ("threshold_correction=0", ConfigurationError, "threshold_correction"),
        ("threshold_correction=much", ConfigurationError, "threshold_correction"),
        ("min_diameter_px=9;max_diameter_px=4", ConfigurationError, "above max_diameter_px"),
    ],
)
def test_impossible_settings_are_refused_in_words(text, error, words):
    with pytest.raises(error, match=words):
        ClassicalSettings.parse(text)


@pytest.mark.parametrize(
    "method", ["automatic", "otsu", "minimum_cross_entropy", "triangle", "robust_background"]
)
def test_every_threshold_method_finds_bright_nuclei(method):
    image, truth, _ = field()
    nuclei, cells = found(image, threshold_method=method)
    assert nuclei.max() == truth.max()
    assert np.array_equal(cells[nuclei > 0], nuclei[nuclei > 0])


def test_a_higher_correction_makes_nuclei_smaller_where_the_threshold_draws_them():
    image, _, _ = field()
    areas = [
        np.count_nonzero(found(image, edge=0, threshold_method="otsu", threshold_correction=c)[0])
        for c in (0.5, 1.0, 1.5)
    ]
    assert areas[0] > areas[1] > areas[2]


def test_a_local_threshold_finds_what_a_global_one_loses():
    """Dim nuclei on the left, bright ones on the right: Otsu's cut lies above the dim ones."""
    image, truth, _ = field(256)
    plane = image[0]
    plane[:, :128] = 200 + (plane[:, :128] - 200) * 0.45
    signal = plane - 200
    # A cut of 750 lies above the dim nuclei's 675, and 0.7 of it below.
    common = {
        "threshold_method": "otsu",
        "threshold_correction": 750 / threshold_of(signal, 15.0, "otsu"),
        "dimmest": 0.05,
        "edge": 0.0,
    }
    lost = nuclei_of(plane, **common)
    kept = nuclei_of(plane, threshold_window_px=64, **common)
    assert lost.max() < truth.max()
    assert kept.max() == truth.max()


def test_local_thresholds_stay_near_the_global_one():
    image, _, _ = field(128)
    plane = image[0] - 200
    overall = threshold_of(plane, 15.0, "otsu")
    local = local_thresholds(plane, 15.0, "otsu", 1.0, 32)
    assert local.shape == plane.shape
    assert local.min() >= 0.7 * overall * 0.999
    assert local.max() <= 1.5 * overall * 1.001


def test_declumping_is_by_what_it_is_named_after():
    plane = np.full((96, 96), 100.0)
    pair = disc(plane.shape, 48, 38, 11) | disc(plane.shape, 48, 56, 11)
    plane[pair] = 1000
    assert nuclei_of(plane, declump="shape").max() == 2
    assert nuclei_of(plane, declump="none").max() == 1
    bar = np.full((96, 96), 100.0)
    bar[40:56, 20:76] = 1000  # a straight bar: only its brightness shows two
    bar[40:56, 44:52] = 750
    assert nuclei_of(bar, declump="intensity").max() == 2
    assert nuclei_of(bar, declump="shape").max() == 1


def test_the_size_range_is_in_diameters():
    plane = np.full((128, 128), 100.0)
    for x, radius in ((20, 6), (60, 9), (105, 16)):
        plane[disc(plane.shape, 64, x, radius)] = 1000

    def count(**changed: float) -> int:
        return int(nuclei_of(plane, **changed).max())

    assert count() == 3
    assert count(min_diameter_px=15) == 2
    assert count(max_diameter_px=24) == 2
    assert count(min_diameter_px=15, max_diameter_px=24) == 1


def test_dimmest_decides_which_dim_nuclei_stay():
    image, truth, _ = field(nucleus=2000)
    plane = image[0]
    plane[truth == 1] -= 1200
    assert nuclei_of(plane, dimmest=0.3).max() == truth.max()
    assert nuclei_of(plane, dimmest=0.6).max() == truth.max() - 1


def test_holes_are_filled_or_not():
    plane = np.full((96, 96), 100.0)
    plane[disc(plane.shape, 48, 48, 14)] = 1000
    plane[disc(plane.shape, 48, 48, 3)] = 100
    assert nuclei_of(plane)[48, 48] == 1
    assert nuclei_of(plane, fill_holes=False, declump="none")[48, 48] == 0


def test_distance_cells_are_rings_of_the_given_width():
    image, _, _ = field(cytoplasm=0)
    nuclei, cells = found(image, cell_method="distance", cell_distance_px=5)
    one = np.flatnonzero((nuclei == 1).any(axis=0))
    ring = np.flatnonzero((cells == 1).any(axis=0))
    assert one[0] - ring[0] == 5
    assert ring[-1] - one[-1] == 5


def test_strong_regularization_parts_cells_half_way():
    """A dark gap near the left nucleus: edges hold growth back unless distance alone counts."""
    nuclei_plane = np.full((64, 128), 100.0)
    body = np.full((64, 128), 100.0)
    body[8:56, 8:112] = 900
    for x in (30, 90):
        nuclei_plane[disc(nuclei_plane.shape, 32, x, 8)] = 2000
    body[8:56, 44:47] = 600
    image = np.stack((nuclei_plane, body))
    left = [
        np.count_nonzero((found(image, regularization=value)[1] == 1)[32]) for value in (0.05, 100)
    ]
    assert left[0] < left[1]
