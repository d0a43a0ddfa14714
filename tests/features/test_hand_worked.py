"""Cases small enough to work out by hand."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from phenolake.features import measure


def rectangle(rows=4, cols=6, shape=(12, 14), at=(3, 5)):
    labels = np.zeros(shape, np.int32)
    labels[at[0] : at[0] + rows, at[1] : at[1] + cols] = 1
    return labels


def shape_of(labels):
    frame = measure(np.zeros((1, *labels.shape)), ["A"], {"Cells": labels}, ["AreaShape"])
    return {name.removeprefix("Cells_AreaShape_"): frame[name][0] for name in frame.columns[1:]}


def test_shape_of_a_rectangle():
    shape = shape_of(rectangle(4, 6))
    expected = {
        "Area": 24,
        "BoundingBoxArea": 24,
        "BoundingBoxMinimum_X": 5,
        "BoundingBoxMaximum_X": 11,
        "BoundingBoxMinimum_Y": 3,
        "BoundingBoxMaximum_Y": 7,
        "Center_X": 7.5,
        "Center_Y": 4.5,
        "ConvexArea": 24,
        "Solidity": 1,
        "Extent": 1,
        "EulerNumber": 1,
        "Perimeter": 2 * (3 + 5),  # between the centres of the outline pixels
        "MinFeretDiameter": 3,
        "MaxFeretDiameter": np.hypot(3, 5),
        "MaximumRadius": 2,
        "MeanRadius": (16 * 1 + 8 * 2) / 24,
        "MedianRadius": 1,
        "MajorAxisLength": 4 * np.sqrt((6**2 - 1) / 12),
        "MinorAxisLength": 4 * np.sqrt((4**2 - 1) / 12),
        "Eccentricity": np.sqrt(1 - 15 / 35),
        "Orientation": 90,  # the major axis lies along the columns
        "EquivalentDiameter": np.sqrt(4 * 24 / np.pi),
        "FormFactor": 4 * np.pi * 24 / 16**2,
        "Compactness": 16**2 / (4 * np.pi * 24),
    }
    assert shape == pytest.approx(expected, rel=1e-12)


def test_a_hole_lowers_the_euler_number_but_not_the_convex_area():
    labels = rectangle(5, 5)
    labels[5, 7] = 0
    shape = shape_of(labels)
    assert (shape["EulerNumber"], shape["Area"], shape["ConvexArea"]) == (0, 24, 25)


def test_two_parts_of_one_number_are_one_object():
    labels = rectangle(2, 2)
    labels[10, 12] = 1
    shape = shape_of(labels)
    assert (shape["EulerNumber"], shape["Area"]) == (2, 5)


def test_intensity_of_four_pixels():
    labels = np.zeros((5, 5), np.int32)
    labels[2, 1:5] = 1
    image = np.zeros((1, 5, 5))
    image[0, 2, 1:5] = [0.1, 0.4, 0.2, 0.3]
    frame = measure(image, ["A"], {"Cells": labels}, ["Intensity", "Location"])
    row = frame.row(0, named=True)
    values = np.array([0.1, 0.2, 0.3, 0.4])
    expected = {
        "IntegratedIntensity": 1.0,
        "MeanIntensity": 0.25,
        "StdIntensity": values.std(),
        "MinIntensity": 0.1,
        "MaxIntensity": 0.4,
        # Quantile q of n sorted values lies at place n * q, counted from 0.
        "LowerQuartileIntensity": 0.2,
        "MedianIntensity": 0.3,
        "UpperQuartileIntensity": 0.4,
        "MADIntensity": 0.1,  # of the distances 0.2, 0.1, 0, 0.1 to the median
        "IntegratedIntensityEdge": 1.0,
        "MassDisplacement": (0.4 * 2 + 0.2 * 3 + 0.3 * 4 + 0.1) / 1.0 - 2.5,
    }
    for measure_name, value in expected.items():
        assert row[f"Cells_Intensity_{measure_name}_A"] == pytest.approx(value), measure_name
    assert row["Cells_Location_MaxIntensity_X_A"] == 2
    assert row["Cells_Location_MaxIntensity_Y_A"] == 2
    assert row["Cells_Location_CenterMassIntensity_X_A"] == pytest.approx(2.7)


def test_contrast_of_a_step_three_pixels_apart():
    labels = np.ones((4, 6), np.int32)
    image = np.zeros((1, 4, 6), np.uint8)
    image[0, :, :3], image[0, :, 3:] = 10, 14
    frame = measure(image, ["A"], {"Cells": labels}, ["Texture"])
    # Every pair three columns apart has levels 10 and 14; three rows apart both are equal.
    assert frame["Cells_Texture_Contrast_A_3_00_256"][0] == 16
    assert frame["Cells_Texture_Correlation_A_3_00_256"][0] == pytest.approx(-1)
    assert frame["Cells_Texture_AngularSecondMoment_A_3_00_256"][0] == 0.5
    assert frame["Cells_Texture_Entropy_A_3_00_256"][0] == pytest.approx(1)
    assert frame["Cells_Texture_Contrast_A_3_02_256"][0] == 0
    assert frame["Cells_Texture_SumAverage_A_3_02_256"][0] == pytest.approx(24)


def test_a_channel_and_its_double_correlate_perfectly():
    labels = rectangle()
    first = np.random.default_rng(0).uniform(0.2, 0.4, labels.shape)
    image = np.stack([first, 2 * first])
    frame = measure(image, ["A", "B"], {"Cells": labels}, ["Correlation"])
    row = {name.removeprefix("Cells_Correlation_"): frame[name][0] for name in frame.columns[1:]}
    expected = {
        "Correlation_A_B": 1,
        "Slope_A_B": 2,
        "Overlap_A_B": 1,
        "K_A_B": 2,
        "K_B_A": 0.5,
        "Manders_A_B": 1,
        "Manders_B_A": 1,
        "RWC_A_B": 1,
        "RWC_B_A": 1,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected)


def test_a_flat_object_spreads_its_intensity_evenly():
    y, x = np.ogrid[:41, :41]
    labels = ((y - 20) ** 2 + (x - 20) ** 2 <= 18**2).astype(np.int32)
    frame = measure(np.full((1, 41, 41), 0.5), ["A"], {"Cells": labels}, ["RadialDistribution"])
    parts = [frame[f"Cells_RadialDistribution_FracAtD_A_{ring}of4"][0] for ring in range(1, 5)]
    assert sum(parts) == pytest.approx(1)
    assert parts == sorted(parts)
    for ring in range(1, 5):
        assert frame[f"Cells_RadialDistribution_MeanFrac_A_{ring}of4"][0] == pytest.approx(1)
        assert frame[f"Cells_RadialDistribution_RadialCV_A_{ring}of4"][0] == pytest.approx(0)


def test_neighbours_in_a_row_of_three():
    labels = np.zeros((9, 40), np.int32)
    labels[2:7, 2:7], labels[2:7, 7:12], labels[2:7, 16:21] = 1, 2, 3
    frame = measure(np.zeros((1, 9, 40)), ["A"], {"Cells": labels}, ["Neighbors"])

    def column(name):
        return frame[f"Cells_Neighbors_{name}"].to_list()

    assert column("NumberOfNeighbors_Adjacent") == [1, 1, 0]
    assert column("NumberOfNeighbors_5") == [1, 2, 1]  # 11 and 16 are five columns apart
    assert column("PercentTouching_Adjacent") == [100 * 5 / 16, 100 * 5 / 16, 0]
    assert column("FirstClosestDistance_5") == [5, 5, 9]
    assert column("SecondClosestDistance_5") == [14, 9, 14]
    assert column("AngleBetweenNeighbors_5") == [0, 180, 0]


def test_translocation_is_the_ratio_of_the_two_means():
    cells, nuclei = rectangle(6, 6), rectangle(2, 2, at=(5, 7))
    image = np.where(nuclei > 0, 60, 20).astype(np.uint8)[None]
    masks = {"Nuclei": nuclei, "Cells": cells, "Cytoplasm": np.where(nuclei > 0, 0, cells)}
    frame = measure(image, ["GFP"], masks, "fast")
    assert frame["Cells_Translocation_NucleiCytoplasmRatio_GFP"][0] == pytest.approx(3)
    assert not any(
        "Translocation" in name for name in measure(image, ["GFP"], {"Cells": cells}).columns
    )


def test_core_and_ring_keep_off_the_outline_of_the_nucleus():
    # The median nucleus is 18 pixels wide: a gap of 2 pixels in it and 3 outside, a ring of 6.
    nuclei, cells = rectangle(16, 16, at=(22, 22), shape=(60, 60)), np.ones((60, 60), np.int32)
    near = distance_transform_edt(nuclei == 0)
    deep = distance_transform_edt(nuclei > 0)
    image = np.full((1, 60, 60), 1000, np.uint16)  # whatever lies at the outline and far out
    image[0, deep > 2] = 60
    image[0, (near > 3) & (near <= 9)] = 20
    masks = {"Nuclei": nuclei, "Cytoplasm": np.where(nuclei > 0, 0, cells)}
    frame = measure(image, ["GFP"], masks, ["Translocation"])
    assert frame["Cells_Translocation_CoreRingRatio_GFP"][0] == pytest.approx(3)


def test_spots_narrower_than_three_samples_leave_in_the_first_granularity():
    labels = np.ones((160, 160), np.int32)
    image = np.zeros((1, 160, 160))
    image[0, 8::32, 8::32] = 1.0  # one sample each at a quarter of the scale
    frame = measure(image, ["A"], {"Cells": labels}, ["Granularity"])
    spectrum = frame.select("^Cells_Granularity_.*$").row(0)
    assert spectrum[0] == pytest.approx(100)
    assert all(value == 0 for value in spectrum[1:])
