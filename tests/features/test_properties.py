"""Properties that hold for any field, and naive references for the kernels behind them."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scipy import ndimage

from features.fields import compartments, random_image, random_labels
from phenolake.features import is_position, measure
from phenolake.features.field import Compartment, Image
from phenolake.features.objects import Objects

CHANNELS = ["A", "B", "C"]
seeds = st.integers(0, 10_000)
few = settings(max_examples=8, deadline=None)


def assert_close(frame, expected):
    """Equal but for the order in which sums were made."""
    assert_frame_equal(frame, expected, rel_tol=1e-9, abs_tol=1e-12)


@few
@given(seeds)
def test_permuting_labels_only_permutes_rows(seed):
    rng = np.random.default_rng(seed)
    masks, image = compartments(seed % 50), random_image(seed)
    numbers = np.concatenate([[0], rng.permutation(1000)[:200] + 1])
    renamed = {name: numbers[mask] for name, mask in masks.items()}
    before = measure(image, CHANNELS, masks, "full")
    after = measure(image, CHANNELS, renamed, "full")
    expected = before.with_columns(
        pl.Series("Metadata_ObjectNumber", numbers[before["Metadata_ObjectNumber"]], pl.Int32)
    ).sort("Metadata_ObjectNumber")
    # Of two equally near neighbours the one with the lower number counts as the first.
    # A parent's number is a label.
    ties = pl.exclude("^.*_Neighbors_AngleBetween.*$", "^.*_Parent_.*$")
    assert_close(after.select(ties), expected.select(ties))


@few
@given(seeds, st.integers(1, 9), st.integers(1, 9))
def test_padding_changes_no_shape_of_objects_off_the_border(seed, above, left):
    labels = random_labels(seed % 50)
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        labels = np.where(np.isin(labels, side), 0, labels)
    pad = ((above, 3), (left, 2))
    families = ["AreaShape", "Zernike", "Neighbors"]
    before = measure(np.zeros((1, *labels.shape)), ["A"], {"Cells": labels}, families)
    wide = np.pad(labels, pad)
    after = measure(np.zeros((1, *wide.shape)), ["A"], {"Cells": wide}, families)
    for name in before.columns:
        # Whether a pixel on the enclosing circle is inside it hangs on the last bit, as documented.
        tolerance = 0.05 if "_Zernike_" in name else 1e-9
        if not is_position(name):
            np.testing.assert_allclose(
                after[name], before[name], rtol=1e-9, atol=tolerance, err_msg=name
            )


@few
@given(seeds, st.sampled_from([2.0, 0.5, 4.0]))
def test_scaling_intensity_scales_means_and_keeps_ratios(seed, factor):
    masks, image = compartments(seed % 50), random_image(seed) / 65535 / 4
    before = measure(image, CHANNELS, masks, "full")
    after = measure(image * factor, CHANNELS, masks, "full")
    for name in before.columns[1:]:
        if "_Texture_" in name or "_Costes_" in name:  # grey levels and grids are absolute
            continue
        ratio = any(part in name for part in ("MassDisplacement", "Contrast", "_CV_"))
        scales = "_Intensity_" in name and not ratio
        scales |= "ZernikeMagnitude" in name
        expected = before[name] * (factor if scales else 1.0)
        np.testing.assert_allclose(after[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)


@few
@given(seeds)
def test_swapping_channels_swaps_their_columns(seed):
    masks, image = compartments(seed % 50), random_image(seed)
    families = ["Intensity", "Texture", "RadialDistribution", "Granularity", "RadialZernike"]
    families += ["SER", "Gabor", "IntensityVariation"]
    before = measure(image, CHANNELS, masks, families)
    after = measure(image[::-1], CHANNELS[::-1], masks, families)
    assert_close(after.select(before.columns), before)


@pytest.mark.parametrize("seed", range(3))
def test_distances_to_the_edge_equal_scipys(seed):
    labels = random_labels(seed)
    objects = Objects.of(labels)
    closed, opened = objects.distances
    for k, number in enumerate(objects.numbers):
        here = slice(objects.starts[k], objects.starts[k + 1])
        at = objects.rows[here], objects.cols[here]
        alone = labels == number
        assert np.array_equal(opened[here], ndimage.distance_transform_edt(alone)[at])
        padded = ndimage.distance_transform_edt(np.pad(alone, 1))[1:-1, 1:-1]
        assert np.array_equal(closed[here], padded[at])


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_compartment_measured_in_pieces_has_the_same_values(dtype, monkeypatch):
    masks, image = compartments(4), random_image(4)
    image = image if dtype == np.uint16 else (image / 65535).astype(dtype)
    whole = measure(image, CHANNELS, masks, "full Dimensions")
    monkeypatch.setattr("phenolake.features.field._PIECE_PIXELS", 700)
    part = Compartment("Cells", Objects.of(masks["Cells"]), Image.checked(image, CHANNELS))
    assert len(part.pieces) > 3
    assert_frame_equal(measure(image, CHANNELS, masks, "full Dimensions"), whole, check_exact=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_values_are_sorted_and_ranked_within_objects(dtype):
    rng = np.random.default_rng(3)
    labels = random_labels(1)
    # Many values and few, above 0 and on both sides of it.
    image = rng.uniform(0, 1, (2, *labels.shape))
    image[1] = np.round(image[1], 1)
    if np.dtype(dtype).kind != "u":
        image[1] -= 0.5
    image *= 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    image = image.astype(dtype)
    objects = Objects.of(labels)
    part = Compartment("Cells", objects, Image.checked(image, ["A", "B"]))
    for c in range(2):
        for k in range(objects.count):
            here = slice(objects.starts[k], objects.starts[k + 1])
            values = part.values[c, here]
            assert np.array_equal(part.ordered[c, here], np.sort(values))
            assert np.array_equal(part.ranks[c, here], np.unique(values, return_inverse=True)[1])


@given(st.lists(st.floats(0, 1, width=16), min_size=1, max_size=40))
@settings(deadline=None, max_examples=60)
def test_the_median_deviation_equals_its_definition(values):
    labels = np.ones((1, len(values)), np.int32)
    frame = measure(np.array(values)[None, None], ["A"], {"Cells": labels}, ["Intensity"])

    def at(ordered, fraction):
        place = len(ordered) * fraction
        low = min(int(place), len(ordered) - 1)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] * (1 - (place - low)) + ordered[high] * (place - low)

    median = at(np.sort(values), 0.5)
    expected = at(np.sort(np.abs(np.array(values) - median)), 0.5)
    assert frame["Cells_Intensity_MADIntensity_A"][0] == pytest.approx(expected, abs=1e-15)


def test_reconstructions_equal_scikit_images():
    from skimage.morphology import reconstruction

    from phenolake.features.kernels.granularity import component_parents, reconstruct

    rng = np.random.default_rng(0)
    mask = np.round(ndimage.gaussian_filter(rng.standard_normal((40, 37)), 1), 1)
    markers = np.stack([np.minimum(mask, mask - depth) for depth in (0.0, 0.1, 0.5)], axis=-1)
    markers[:, :, 2] = np.where(rng.random(mask.shape) > 0.9, mask, mask.min())
    plus = ndimage.generate_binary_structure(2, 1)
    expected = [reconstruction(markers[:, :, i], mask, footprint=plus) for i in range(3)]
    order = np.argsort(mask, axis=None)[::-1].copy()
    flat = markers.reshape(-1, 3).copy()
    reconstruct(flat, mask.ravel(), order, component_parents(*mask.shape, order))
    assert np.array_equal(flat.reshape(*mask.shape, 3), np.stack(expected, axis=-1))
