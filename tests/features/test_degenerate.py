"""Objects on which a measure has no meaning: NaN where documented, never infinity, never a warning."""

import warnings

import numpy as np
import pytest

from features.fields import compartments, random_image
from phenolake.features import measure

CHANNELS = ["A", "B"]


def quietly(image, masks, families="full"):
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        frame = measure(image, CHANNELS, masks, families)
    assert not np.isinf(frame.to_numpy()).any()
    return frame


def nan_names(frame, row=0):
    values = frame.row(row, named=True)
    return {name for name, value in values.items() if value != value}


def one(shape, *pixels):
    labels = np.zeros(shape, np.int32)
    for place in pixels:
        labels[place] = 1
    return labels


@pytest.fixture(scope="module")
def image():
    return random_image(1, 2, (40, 48))


def test_one_pixel_has_no_outline_circle_texture_or_correlation(image):
    frame = quietly(image, {"Cells": one((40, 48), (20, 20))})
    missing = nan_names(frame)
    for name in missing:
        assert any(
            part in name
            for part in (
                "FormFactor", "_Zernike", "_Texture_", "Correlation_Correlation", "Slope",
                "ClosestDistance", "AngleBetween", "DistanceToNearest", "Costes",
            )
        ), name  # fmt: skip
    assert frame["Cells_AreaShape_Area"][0] == 1
    assert frame["Cells_Intensity_StdIntensity_A"][0] == 0
    assert frame["Cells_AreaShape_MaxFeretDiameter"][0] == 0
    assert len([name for name in missing if "_Texture_" in name]) == 2 * 52 * 3


def test_one_object_has_no_closest_neighbour(image):
    labels = one((40, 48), (slice(5, 20), slice(5, 20)))
    frame = quietly(image, {"Cells": labels}, ["Neighbors"])
    assert frame["Cells_Neighbors_NumberOfNeighbors_5"][0] == 0
    assert nan_names(frame) == {
        f"Cells_Neighbors_{measure_name}_{distance}"
        for measure_name in (
            "FirstClosestDistance",
            "SecondClosestDistance",
            "AngleBetweenNeighbors",
        )
        for distance in ("Adjacent", "5")
    }


@pytest.mark.parametrize("value", [0, 1, 9000, 65535])
def test_constant_intensity_has_no_spread_and_no_correlation(value):
    image = np.full((2, 40, 48), value, np.uint16)
    frame = quietly(image, {"Cells": one((40, 48), (slice(5, 31), slice(7, 30)))})
    assert frame["Cells_Intensity_StdIntensity_A"][0] == 0
    assert frame["Cells_Intensity_StdIntensityEdge_A"][0] == 0
    assert frame["Cells_Intensity_MADIntensity_A"][0] == 0
    assert frame["Cells_Intensity_MeanIntensity_A"][0] == value / 65535
    assert np.isnan(frame["Cells_Correlation_Correlation_A_B"][0])
    if value >= 129:  # lower values round to grey level 0, which is left out
        assert frame["Cells_Texture_AngularSecondMoment_A_3_00_256"][0] == 1
        assert frame["Cells_Texture_Entropy_A_3_00_256"][0] == 0
        assert frame["Cells_Texture_Correlation_A_3_00_256"][0] == 1
        assert frame["Cells_Texture_InfoMeas2_A_3_00_256"][0] == 0
    else:
        assert np.isnan(frame["Cells_Texture_Entropy_A_3_00_256"][0])


def test_a_black_object_has_no_centre_of_mass_and_no_rings():
    image = np.zeros((2, 40, 48), np.uint16)
    frame = quietly(image, {"Cells": one((40, 48), (slice(5, 31), slice(7, 30)))})
    assert np.isnan(frame["Cells_Intensity_MassDisplacement_A"][0])
    assert np.isnan(frame["Cells_Location_CenterMassIntensity_X_A"][0])
    assert np.isnan(frame["Cells_RadialDistribution_FracAtD_A_1of4"][0])
    assert frame["Cells_Granularity_1_A"][0] == 0


def test_an_object_that_fills_the_image_has_no_edge_pixels(image):
    frame = quietly(image, {"Cells": np.ones((40, 48), np.int32)})
    assert np.isnan(frame["Cells_Intensity_MeanIntensityEdge_A"][0])
    assert frame["Cells_AreaShape_MaximumRadius"][0] == 20
    parts = [frame[f"Cells_RadialDistribution_FracAtD_A_{ring}of4"][0] for ring in range(1, 5)]
    assert sum(parts) == pytest.approx(1)


def test_a_cell_without_cytoplasm_has_no_ratio():
    image = random_image(2, 2, (40, 48))
    nuclei, cytoplasm = np.zeros((2, 40, 48), np.int32)
    nuclei[5:10, 5:10], nuclei[20:30, 20:30] = 1, 2
    cytoplasm[5:10, 10:14] = 1
    frame = quietly(image, {"Nuclei": nuclei, "Cytoplasm": cytoplasm})
    ratio = frame["Cells_Translocation_NucleiCytoplasmRatio_A"]
    assert np.isfinite(ratio[0])
    assert np.isnan(ratio[1])
    dark = np.where(cytoplasm > 0, 0, image)
    assert np.isnan(quietly(dark, {"Nuclei": nuclei, "Cytoplasm": cytoplasm})[ratio.name][0])


def test_rings_and_split_objects_keep_their_parts(image):
    labels = one((40, 48), (slice(2, 20), slice(2, 20)))
    labels[8:14, 8:14] = 0
    labels[30:34, 30:40] = 1
    frame = quietly(image, {"Cells": labels})
    assert frame["Cells_AreaShape_EulerNumber"][0] == 1  # two parts, one hole
    assert frame["Cells_AreaShape_Area"][0] == 18 * 18 - 36 + 40


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (7, 7)])
def test_tiny_images_are_measured(shape):
    image = random_image(4, 2, shape)
    frame = quietly(image, {"Cells": np.ones(shape, np.int32)})
    assert frame["Cells_AreaShape_Area"][0] == shape[0] * shape[1]
    assert np.isnan(frame["Cells_Granularity_1_A"][0])


def test_an_image_without_pixels_gives_no_rows():
    frame = quietly(np.zeros((2, 0, 5), np.uint16), {"Cells": np.zeros((0, 5), np.int32)})
    assert frame.height == 0


@pytest.mark.parametrize("seed", range(3))
def test_crowded_fields_give_no_infinity_and_no_warning(seed):
    quietly(random_image(seed, 2), compartments(seed))


def test_values_outside_0_to_1_are_measured():
    image = np.random.default_rng(0).normal(0, 3, (2, 40, 48))
    frame = quietly(image, {"Cells": one((40, 48), (slice(5, 31), slice(7, 30)))})
    inside = image[0, 5:31, 7:30]
    assert frame["Cells_Intensity_MinIntensity_A"][0] == inside.min()
    ordered = np.sort(inside, axis=None)
    middle = ordered[ordered.size // 2]
    assert frame["Cells_Intensity_MedianIntensity_A"][0] == pytest.approx(middle)
