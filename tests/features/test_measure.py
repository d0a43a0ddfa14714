"""The frame that `measure` gives, and what it refuses."""

import numpy as np
import polars as pl
import pytest

from features.fields import compartments, random_image
from phenolake.errors import ConfigurationError, MaskShapeError, UnknownNameError
from phenolake.features import FAMILIES, PRESETS, compile_kernels, feature_names, measure

CHANNELS = ["DNA", "ER", "Mito"]


@pytest.fixture(scope="module")
def masks():
    return compartments(5)


@pytest.fixture(scope="module")
def image():
    return random_image(5)


@pytest.mark.parametrize("families", [None, *PRESETS, ["Texture"], ["Translocation", "Location"]])
def test_columns_are_the_feature_names_in_order(image, masks, families):
    frame = measure(image, CHANNELS, masks, families)
    names = feature_names(CHANNELS, masks, families)
    assert frame.columns == ["Metadata_ObjectNumber", *names]
    assert len(set(names)) == len(names)
    assert frame.schema["Metadata_ObjectNumber"] == pl.Int32
    assert set(frame.dtypes[1:]) == {pl.Float64}


def test_standard_is_the_default_and_full_has_every_family(image, masks):
    assert feature_names(CHANNELS, masks) == feature_names(CHANNELS, masks, "standard")
    for family in set(FAMILIES) - {"Dimensions"}:  # repeats AreaShape, in micrometres
        assert set(feature_names(CHANNELS, masks, [family])) <= set(
            feature_names(CHANNELS, masks, "full")
        )


@pytest.mark.parametrize("preset", PRESETS)
def test_no_objects_give_no_rows_and_all_columns(image, masks, preset):
    empty = {name: np.zeros_like(mask) for name, mask in masks.items()}
    frame = measure(image, CHANNELS, empty, preset)
    assert frame.height == 0
    assert frame.columns == ["Metadata_ObjectNumber", *feature_names(CHANNELS, masks, preset)]


def test_rows_are_the_union_of_all_labels_and_missing_objects_are_nan(image):
    nuclei, cells = np.zeros((2, *image.shape[1:]), np.int32)
    nuclei[5:15, 5:15] = 900
    cells[5:25, 5:25] = 900
    cells[40:60, 40:60] = 17
    nuclei[70:80, 70:80] = 3
    frame = measure(image, CHANNELS, {"Nuclei": nuclei, "Cells": cells}, "full")
    assert frame["Metadata_ObjectNumber"].to_list() == [3, 17, 900]
    nuclei_values = frame.select(pl.col("^Nuclei_.*$")).to_numpy()
    cells_values = frame.select(pl.col("^Cells_.*$")).to_numpy()
    assert np.isnan(nuclei_values[1]).all()
    assert np.isnan(cells_values[0]).all()
    assert np.isfinite(frame["Nuclei_AreaShape_Area"][2])
    assert frame["Cells_AreaShape_Area"].to_list()[1:] == [400.0, 400.0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.uint32, bool])
def test_any_integer_mask_gives_the_same_values(image, dtype):
    mask = np.zeros(image.shape[1:], dtype)
    mask[10:30, 10:24] = 1
    expected = measure(image, CHANNELS, {"Cells": mask.astype(np.int32)}, "full")
    assert measure(image, CHANNELS, {"Cells": mask}, "full").equals(expected)


def test_very_large_labels_are_kept(image):
    mask = np.zeros(image.shape[1:], np.int64)
    mask[10:30, 10:24] = 2**31 - 1
    mask[50:60, 10:24] = 4
    frame = measure(image, CHANNELS, {"Cells": mask}, ["AreaShape"])
    assert frame["Metadata_ObjectNumber"].to_list() == [4, 2**31 - 1]
    assert frame["Cells_AreaShape_Area"].to_list() == [140.0, 280.0]


def test_callers_arrays_are_not_changed_and_may_be_read_only(image, masks):
    before = image.copy(), {name: mask.copy() for name, mask in masks.items()}
    frozen = image.copy()
    frozen.setflags(write=False)
    locked = {}
    for name, mask in masks.items():
        locked[name] = np.where(mask > 0, mask * 7, 0).astype(np.int32)
        locked[name].setflags(write=False)
    copies = {name: mask.copy() for name, mask in locked.items()}
    measure(frozen, CHANNELS, locked, "full")
    assert np.array_equal(frozen, before[0])
    assert all(np.array_equal(locked[name], copies[name]) for name in locked)


def test_views_measure_as_copies(image, masks):
    view = np.repeat(image, 2, axis=2)[:, :, ::2]
    turned = {name: np.asfortranarray(mask) for name, mask in masks.items()}
    assert measure(view, CHANNELS, turned).equals(measure(image, CHANNELS, masks))


def test_byte_order_of_image_and_masks_does_not_matter(image, masks):
    swapped = {name: mask.astype(">i4") for name, mask in masks.items()}
    frame = measure(image.astype(">u2"), CHANNELS, swapped)
    assert frame.equals(measure(image, CHANNELS, masks))


def test_integers_are_scaled_by_their_type_and_floats_taken_as_they_are(image, masks):
    expected = measure(image, CHANNELS, masks, "full")
    scaled = measure(image / 65535, CHANNELS, masks, "full")
    assert expected.equals(scaled)
    bytes_ = (image // 257).astype(np.uint8)
    assert measure(bytes_, CHANNELS, masks).equals(measure(bytes_ / 255, CHANNELS, masks))


def test_two_runs_are_equal_to_the_bit(image, masks):
    assert measure(image, CHANNELS, masks, "full").equals(measure(image, CHANNELS, masks, "full"))


def test_families_do_not_depend_on_each_other(image, masks):
    full = measure(image, CHANNELS, masks, "full")
    for family in sorted({*FAMILIES, "Translocation", "Relations"} - {"Dimensions"}):
        alone = measure(image, CHANNELS, masks, [family])
        assert alone.equals(full.select(alone.columns))


def test_count_is_the_number_of_objects_of_each_mask(image, masks):
    frame = measure(image, CHANNELS, masks, ["Count"])
    for name, mask in masks.items():
        assert frame[f"{name}_Count_Objects"].max() == np.unique(mask[mask > 0]).size


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"image": np.zeros((90, 110), np.uint16)}, ConfigurationError, "does not fit 3 channels"),
        ({"channels": ["DNA", "DNA", "ER"]}, ConfigurationError, "must differ"),
        ({"masks": {}}, ConfigurationError, "no masks"),
        ({"masks": {"My_Cells": np.zeros((90, 110), int)}}, ConfigurationError, "underscore"),
        ({"masks": {"Cells": np.zeros((90, 111), int)}}, MaskShapeError, "Cells"),
        ({"masks": {"Cells": np.zeros((90, 110))}}, ConfigurationError, "integer labels"),
        ({"masks": {"Cells": np.full((90, 110), -1)}}, ConfigurationError, "labels run from -1"),
        ({"image": np.full((3, 90, 110), np.nan)}, ConfigurationError, "NaN"),
        ({"image": np.zeros((3, 90, 110), complex)}, ConfigurationError, "integer or float"),
        ({"families": "ful"}, UnknownNameError, "Did you mean 'full'"),
        ({"families": ["Textur"]}, UnknownNameError, "Did you mean 'Texture'"),
    ],
)
def test_wrong_input_is_refused_with_the_facts(image, masks, change, error, text):
    given = {"image": image, "channels": CHANNELS, "masks": masks, "families": None} | change
    with pytest.raises(error, match=text):
        measure(**given)


def test_compiling_ahead_leaves_nothing_to_compile(image, masks):
    from phenolake.features.kernels.sorting import sort_objects
    from phenolake.features.kernels.texture import haralick

    compile_kernels()
    before = len(sort_objects.signatures), len(haralick.signatures)
    for pixels in (image, image.astype(np.uint8), image / 65535, image.astype(np.float32)):
        measure(pixels, CHANNELS, masks, "full")
    assert (len(sort_objects.signatures), len(haralick.signatures)) == before


def test_importing_the_package_compiles_nothing(repository):
    import subprocess
    import sys

    code = (
        "import phenolake.features, sys;"
        "from phenolake.features import feature_names;"
        "feature_names(['DNA'], ['Cells'], 'full');"
        "sys.exit('numba' in sys.modules or 'scipy' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(repository / "platform")}, check=False
    )
    assert result.returncode == 0
