"""Families that CellProfiler does not have, on pictures whose answer is known."""

import numpy as np
import polars as pl
import pytest

from features.fields import compartments, random_image
from phenolake.errors import ConfigurationError
from phenolake.features import COLUMN_PRESETS, measure, measure_field

Y, X = np.mgrid[:48, :48] - 23.5
MASK = np.zeros((48, 48), np.int32)
MASK[14:34, 14:34] = 1


def ser(image, scale=2):
    frame = measure(image[None].astype(float), ["A"], {"Cells": MASK}, f"SER:{scale}")
    return {name.split("_")[2]: frame[name].item() for name in frame.columns[1:]}


@pytest.mark.parametrize(
    ("picture", "strongest"),
    [
        (1 + np.exp(-(Y**2 + X**2) / 400), "Spot"),
        (2 - np.exp(-(Y**2 + X**2) / 400), "Hole"),
        (1 + np.exp(-(Y**2) / 200), "Ridge"),
        (2 - np.exp(-(X**2) / 200), "Valley"),
        (3 + (Y**2 - X**2) / 600, "Saddle"),
    ],
)
def test_each_shape_answers_to_its_picture(picture, strongest):
    found = ser(picture)
    kinds = {name: found[name] for name in ("Spot", "Hole", "Ridge", "Valley", "Saddle")}
    assert max(kinds, key=kinds.get) == strongest
    assert found["Bright"] == pytest.approx(found["Spot"] + found["Ridge"])
    assert found["Dark"] == pytest.approx(found["Hole"] + found["Valley"])


def test_a_ramp_has_only_an_edge_of_its_slope_over_the_mean():
    found = ser(100 + X, scale=0)
    assert found["Edge"] == pytest.approx(np.mean(1 / (100 + X[14:34, 14:34])), rel=1e-5)
    assert all(found[name] < 1e-6 for name in found if name != "Edge")


@pytest.mark.parametrize("turn", [lambda a: np.rot90(a, axes=(-2, -1)), lambda a: a[..., ::-1]])
def test_turns_and_mirrors_change_no_ser_and_swap_gabor_directions(turn):
    masks, image = compartments(2), random_image(2, 1)
    before = measure(image, ["A"], masks, "SER Gabor")
    turned = {name: np.ascontiguousarray(turn(mask)) for name, mask in masks.items()}
    after = measure(np.ascontiguousarray(turn(image)), ["A"], turned, "SER Gabor")
    quarter = turn(np.arange(6).reshape(2, 3)).shape == (3, 2)
    swaps = {"045": "135", "135": "045"} | ({"000": "090", "090": "000"} if quarter else {})
    for name in before.columns[1:]:
        angle = name[-3:]
        other = name[:-3] + swaps.get(angle, angle) if "_Gabor_" in name else name
        np.testing.assert_allclose(after[other], before[name], rtol=1e-3, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("angle", "wave"), [("000", X), ("045", (X + Y) / 2**0.5), ("090", Y)])
def test_stripes_answer_to_the_gabor_wave_of_their_direction(angle, wave):
    image = 1 + 0.5 * np.cos(2 * np.pi * wave / 8)
    frame = measure(image[None], ["A"], {"Cells": MASK}, "Gabor:8")
    energies = {name[-3:]: frame[name].item() for name in frame.columns[1:]}
    assert max(energies, key=energies.get) == angle
    assert energies[angle] == pytest.approx(0.25, rel=0.02)  # half the amplitude, over the mean


def test_a_constant_has_no_ser_and_no_stripes():
    frame = measure(np.full((1, 48, 48), 0.3), ["A"], {"Cells": MASK}, "SER Gabor")
    np.testing.assert_allclose(frame.drop("Metadata_ObjectNumber").to_numpy(), 0, atol=1e-6)


def test_local_density_counts_centres_in_the_part_of_the_disk_inside_the_image():
    mask = np.zeros((400, 400), np.int32)
    places = [(200, 200), (200, 230), (230, 200), (200, 290), (10, 10), (390, 390)]
    for number, (y, x) in enumerate(places, 1):
        mask[y - 1 : y + 2, x - 1 : x + 2] = number
    frame = measure(np.ones((1, 400, 400)), ["A"], {"Cells": mask}, "LocalDensity")
    disk = sum((y * y + x * x) <= 2500 for y in range(-50, 51) for x in range(-50, 51))
    assert frame["Cells_Neighbors_LocalDensity_50"][0] == pytest.approx(2 * 10_000 / disk)
    assert frame["Cells_Neighbors_LocalDensity_50"][4] == 0
    away = [np.hypot(y - 200, x - 200) for y, x in places[1:]]
    assert frame["Cells_Neighbors_MeanDistanceToNearest_5"][0] == pytest.approx(np.mean(away))


def test_a_thread_has_its_length_ends_and_branch():
    image = np.full((1, 64, 64), 0.1)
    image[0, 20:45, 32] = image[0, 32, 32:50] = 1.0
    mask = np.zeros((64, 64), np.int32)
    mask[10:55, 10:60] = 1
    frame = measure(image, ["Tubulin"], {"Cells": mask}, ["ObjectSkeleton"])
    assert frame["Cells_ObjectSkeleton_NumberBranchEnds_Tubulin"].item() == 3
    assert frame["Cells_ObjectSkeleton_NumberBranchPoints_Tubulin"].item() >= 1
    length = frame["Cells_ObjectSkeleton_TotalObjectSkeletonLength_Tubulin"].item()
    assert length == pytest.approx(24 + 17, abs=4)
    assert measure(image, ["DNA"], {"Cells": mask}, ["ObjectSkeleton"]).width == 1


def test_children_and_parents_follow_the_object_numbers():
    nuclei, cells = np.zeros((2, 48, 48), np.int32)
    nuclei[5:9, 5:9], nuclei[20:24, 20:24], cells[3:12, 3:12], cells[30:40, 30:40] = 4, 7, 4, 9
    frame = measure(np.ones((1, 48, 48)), ["A"], {"Nuclei": nuclei, "Cells": cells}, ["Relations"])
    assert frame.fill_nan(None).rows() == [(4, 1.0, 4.0), (7, 0.0, None), (9, None, 0.0)]


def test_the_published_42_are_measured_in_micrometres():
    masks = compartments(4)
    channels = ["Hoechst", "Alexa488", "TRITC", "Alexa647"]
    image = random_image(4, 4)
    given = {name: masks[name] for name in ("Nuclei", "Cells")}
    frame = measure(image, channels, given, "cytotoxicity_42", pixel_size_um=0.5)
    assert tuple(frame.columns[1:]) == COLUMN_PRESETS["cytotoxicity_42"][1]
    area = measure(image, channels, given, "AreaShape")["Cells_AreaShape_Area"]
    assert frame["Cells_AreaShape_AreaUm2"].to_list() == (area * 0.25).to_list()
    unknown = measure(image, channels, given, "cytotoxicity_42")
    assert unknown["Cells_AreaShape_AreaUm2"].is_nan().all()
    with pytest.raises(ConfigurationError, match="can't be measured with these"):
        measure(image, ["A", "B", "C", "D"], given, "cytotoxicity_42")


def test_scales_and_presets_can_be_put_together():
    masks, image = compartments(1), random_image(1, 1)
    frame = measure(image, ["A"], masks, "fast Texture:5 Neighbors:10")
    assert "Cells_Texture_Contrast_A_5_00_256" in frame.columns
    assert "Cells_Neighbors_NumberOfNeighbors_10" in frame.columns
    assert "Cells_Neighbors_NumberOfNeighbors_5" not in frame.columns
    with pytest.raises(ConfigurationError, match="stands alone"):
        measure(image, ["A"], masks, "fast cytotoxicity_42")
    for wrong in ("Texture:0", "SER:a", "AreaShape:3"):
        with pytest.raises(ConfigurationError, match="scales"):
            measure(image, ["A"], masks, wrong)


def test_a_field_is_measured_as_a_whole():
    masks, image = compartments(1), random_image(1, 2)
    frame = measure_field(image, ["A", "B"], masks)
    assert frame.height == 1
    scaled = image[1] / 65535
    assert frame["Image_Intensity_TotalIntensity_B"].item() == pytest.approx(scaled.sum())
    assert frame["Image_Intensity_MedianIntensity_B"].item() == np.median(scaled)
    assert frame["Image_AreaOccupied_AreaOccupied_Cells"].item() == np.count_nonzero(masks["Cells"])
    assert frame["Image_Count_Nuclei"].item() == np.unique(masks["Nuclei"]).size - 1
    pearson = np.corrcoef(image[0].ravel(), image[1].ravel())[0, 1]
    assert frame["Image_Correlation_Correlation_A_B"].item() == pytest.approx(pearson)
    whole = {"Image": np.ones(image.shape[1:], np.int32)}
    cells = measure(image, ["A", "B"], whole, ["Texture", "Granularity"])
    shared = [name for name in cells.columns if name in frame.columns]
    assert len(shared) == 2 * (52 + 16)
    assert frame.select(shared).equals(cells.select(shared).cast(pl.Float64))
