"""Turning, mirroring, padding and brightening a field change what they should and nothing else."""

import re

import numpy as np
import pytest

from features.fields import compartments, random_image, random_labels
from phenolake.features import FAMILIES, is_position, measure

CHANNELS = ["A", "B", "Mito"]
FULL = "full Dimensions"

#: Columns that name a direction, hang on which of equals comes first, or on where a grid begins.
_DIRECTED = re.compile(
    r"_Orientation$|Moment_|_InertiaTensor_|_ZernikePhase_|_RadialDistribution_[FMR]|_Granularity_"
    r"|_ObjectSkeleton_"
)
#: Moments that a turn keeps, and under a mirror too but for the sign of the last.
_HU = re.compile(r"_HuMoment_[0-5]$")
#: A pixel on the enclosing circle is inside or not by its last bit.
_ON_CIRCLE = re.compile(r"_Zernike(Magnitude)?_")

_TURNS = {
    "quarter turn": (
        lambda a: np.rot90(a, axes=(-2, -1)),
        {"00": "02", "01": "03", "02": "00", "03": "01"},
        {"000": "090", "045": "135", "090": "000", "135": "045"},
    ),
    "left for right": (
        lambda a: a[..., ::-1],
        {"01": "03", "03": "01"},
        {"045": "135", "135": "045"},
    ),
    "up for down": (
        lambda a: a[..., ::-1, :],
        {"01": "03", "03": "01"},
        {"045": "135", "135": "045"},
    ),
}


def turned_name(name, directions, angles):
    """The column that holds a texture's direction after the turn."""
    if "_Texture_" in name:
        head, direction, levels = name.rsplit("_", 2)
        return f"{head}_{directions.get(direction, direction)}_{levels}"
    if "_Gabor_" in name:
        head, angle = name.rsplit("_", 1)
        return f"{head}_{angles.get(angle, angle)}"
    return name


def assert_equal_but_on_the_circle(name, values, expected, **tolerance):
    """Equal values; Zernike moments of most objects, and nearly."""
    if _ON_CIRCLE.search(name):
        near = np.isclose(values, expected, rtol=0.3, atol=0.05, equal_nan=True)
        assert near.mean() >= 0.9, name
    else:
        np.testing.assert_allclose(values, expected, err_msg=name, **tolerance)


@pytest.mark.parametrize("turn", _TURNS)
@pytest.mark.parametrize("seed", [0, 1])
def test_turns_and_mirrors_only_change_what_has_a_direction(seed, turn):
    move, directions, angles = _TURNS[turn]
    image, masks = random_image(seed + 20), compartments(seed)
    before = measure(image, CHANNELS, masks, FULL)
    moved = {name: np.ascontiguousarray(move(mask)) for name, mask in masks.items()}
    after = measure(np.ascontiguousarray(move(image)), CHANNELS, moved, FULL)
    compared = set()
    for name in before.columns:
        if is_position(name) or (_DIRECTED.search(name) and not _HU.search(name)):
            continue
        # Filters and skeletons work in 32 bits.
        rough = "_SER_" in name or "_Gabor_" in name
        tolerance = {"rtol": 1e-4, "atol": 1e-5} if rough else {"rtol": 1e-7, "atol": 1e-7}
        other = turned_name(name, directions, angles)
        assert_equal_but_on_the_circle(name, after[other], before[name], **tolerance)
        compared.add(name.split("_")[1])
    assert compared >= {
        *("AreaShape", "Intensity", "Texture", "SER", "Gabor", "Correlation", "Neighbors"),
        *("RadialDistribution", "Count", "Translocation", "Children"),
    }


@pytest.mark.parametrize("turn", _TURNS)
def test_positions_turn_with_the_field(turn):
    move, _, _ = _TURNS[turn]
    image, masks = random_image(3), {"Cells": random_labels(3)}
    height, width = image.shape[1:]
    before = measure(image, CHANNELS, masks, ["Location", "AreaShape"])
    after = measure(
        np.ascontiguousarray(move(image)), CHANNELS, {"Cells": move(masks["Cells"]).copy()},
        ["Location", "AreaShape"],
    )  # fmt: skip
    for name in ("Location_Center", "Location_CenterMassIntensity", "AreaShape_Center"):
        tail = "_A" if "Mass" in name else ""
        x, y = (before[f"Cells_{name}_{axis}{tail}"].to_numpy() for axis in "XY")
        expected = {
            "quarter turn": (y, width - 1 - x),
            "left for right": (width - 1 - x, y),
            "up for down": (x, height - 1 - y),
        }[turn]
        for axis, values in zip("XY", expected, strict=True):
            np.testing.assert_allclose(after[f"Cells_{name}_{axis}{tail}"], values, rtol=1e-9)


def test_rings_of_a_disk_turn_into_themselves():
    y, x = np.mgrid[:41, :41]
    disk = ((y - 20) ** 2 + (x - 20) ** 2 <= 300).astype(np.int32)
    image = random_image(4, 1, disk.shape)
    before = measure(image, ["A"], {"Cells": disk}, ["RadialDistribution"])
    after = measure(np.rot90(image, axes=(1, 2)), ["A"], {"Cells": disk}, ["RadialDistribution"])
    for name in before.columns:
        if "RadialCV" not in name:  # its eight wedges begin at one side of the axes
            np.testing.assert_allclose(after[name], before[name], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("seed", range(3))
def test_padding_changes_nothing_but_positions_of_objects_off_the_border(seed):
    # What is made of the whole image, or counts what lies around, may change.
    families = [
        name
        for name in FAMILIES
        if name not in ("SER", "Gabor", "Granularity", "ObjectSkeleton", "LocalDensity")
    ]
    image, labels = random_image(seed), random_labels(seed)
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        labels = np.where(np.isin(labels, side), 0, labels)
    before = measure(image, CHANNELS, {"Cells": labels}, families)
    pad = ((seed + 1, 3), (2, 5))
    wide = np.pad(image, ((0, 0), *pad), constant_values=777)
    after = measure(wide, CHANNELS, {"Cells": np.pad(labels, pad)}, families)
    for name in before.columns:
        if not is_position(name) and "_ZernikePhase_" not in name:
            assert_equal_but_on_the_circle(name, after[name], before[name], rtol=1e-9, atol=1e-9)


_SHIFTED = re.compile(
    r"_Intensity_(Mean|Min|Max|Median|LowerQuartile|UpperQuartile)Intensity(Edge)?_"
)
_KEPT = re.compile(
    r"_AreaShape_|_Neighbors_|_Intensity_(StdIntensity|MADIntensity)|_Location_(Center_|MaxI)"
    r"|_Correlation_(Correlation|Slope)_|_Count_"
)


@pytest.mark.parametrize("seed", range(3))
def test_a_brighter_background_shifts_levels_and_keeps_spreads(seed):
    image, masks = random_image(seed) // 3 + 300, compartments(seed)
    levels = 7
    shift = 257 * levels  # whole grey levels of texture
    before = measure(image, CHANNELS, masks, FULL)
    after = measure(image + np.uint16(shift), CHANNELS, masks, FULL)
    for name in before.columns:
        a, b = after[name].to_numpy(), before[name].to_numpy()
        if _SHIFTED.search(name):
            np.testing.assert_allclose(a, b + shift / 65535, rtol=1e-9, err_msg=name)
        elif "_IntegratedIntensity_" in name:
            area = before[f"{name.split('_')[0]}_AreaShape_Area"].to_numpy()
            np.testing.assert_allclose(a, b + area * shift / 65535, rtol=1e-9, err_msg=name)
        elif "_SumAverage_" in name:
            np.testing.assert_allclose(a, b + 2 * levels, rtol=1e-9, err_msg=name)
        elif "_Texture_" in name and "_DifferenceVariance_" not in name:
            # That one divides by the number of levels up to the brightest.
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6, err_msg=name)
        elif _KEPT.search(name):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7, err_msg=name)
