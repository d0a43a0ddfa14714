"""Pictures: they are small PNGs, show what they should, and refuse what they can't draw."""

import base64
import io
import re

import numpy as np
import polars as pl
import pytest
from PIL import Image

from phenolake import pictures
from phenolake.errors import ConfigurationError, UnknownNameError, WellNameError
from phenolake.identity import PLATE_FORMATS, wells_of_format
from phenolake.pictures import plate_maps


def opened(png):
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    assert len(png) < 80_000
    return np.asarray(image.convert("RGB")).astype(int)


def plate(wells, name="P1", seed=0):
    rng = np.random.default_rng(seed)
    names = [well.name for well in wells_of_format(wells)]
    kinds = ["negcon" if well.column == 1 else "trt" for well in wells_of_format(wells)]
    return pl.DataFrame(
        {
            "Metadata_Plate": [name] * wells,
            "Metadata_Well": names,
            "Metadata_ControlType": kinds,
            "v": rng.normal(size=wells),
        }
    )


@pytest.mark.parametrize("wells", [96, 384, 1536])
def test_plates_of_every_usual_format_are_small_pngs(wells):
    opened(pictures.plate_heatmap(plate(wells), "v", title="P1", unit="cells"))


def test_many_plates_share_one_picture():
    frame = pl.concat([plate(96, f"P{i}", i) for i in range(3)])
    image = opened(pictures.plate_heatmap(frame, "v"))
    assert image.shape[1] > opened(pictures.plate_heatmap(frame[:96], "v")).shape[1]


@pytest.mark.slow
def test_a_screen_of_plates_stays_small():
    opened(pictures.plate_heatmap(pl.concat([plate(384, f"P{i:02d}", i) for i in range(22)]), "v"))


def test_values_land_where_the_wells_are():
    (grid,) = (
        grid
        for _, grid, _ in plate_maps._grids(
            pl.DataFrame({"Metadata_Well": ["A01", "H12", "H12"], "v": [1.0, 2.0, 4.0]}),
            "v",
            96,
            {name: plate_maps.Well.parse(name) for name in ("A01", "H12")},
        )
    )
    assert grid.shape == PLATE_FORMATS[96]
    assert (grid[0, 0], grid[7, 11]) == (1, 3)
    assert np.isnan(grid).sum() == 94


def test_controls_are_outlined_and_empty_wells_grey():
    frame = plate(96)
    plain = opened(pictures.plate_heatmap(frame.drop("Metadata_ControlType"), "v", wells=96))
    outlined = opened(pictures.plate_heatmap(frame, "v", wells=96))
    assert plain.shape == outlined.shape
    assert (plain != outlined).any()
    half = opened(pictures.plate_heatmap(frame[:48], "v", wells=96))
    grey = (np.abs(half - 224) <= 2).all(axis=2).mean()
    assert grey > 0.2
    assert (np.abs(plain - 224) <= 2).all(axis=2).mean() < 0.02


def test_z_scores_are_centred_on_zero():
    frame = pl.DataFrame({"Metadata_Well": ["A01", "A02"], "v": [-1.0, 4.0]})
    grids = [("", np.array([[-1.0, 4.0]]), {})]
    assert plate_maps._colours(grids, 0.0)["limits"] == (-4, 4)
    assert plate_maps._colours(grids, None)["limits"] == (-1, 4)
    with_unit, without = (
        pictures.plate_heatmap(frame, "v", unit=unit) for unit in ("robust z", "cells")
    )
    assert with_unit != without


@pytest.mark.parametrize("value", [float("nan"), 5.0])
def test_plates_without_variation_are_drawn(value):
    opened(pictures.plate_heatmap(plate(96).with_columns(v=pl.lit(value)), "v"))


def test_plate_heatmap_says_what_is_wrong():
    with pytest.raises(UnknownNameError, match="'w'"):
        pictures.plate_heatmap(plate(96), "w")
    with pytest.raises(ConfigurationError, match="no wells"):
        pictures.plate_heatmap(plate(96).clear(), "v")
    with pytest.raises(ConfigurationError, match="does not fit a plate of 24"):
        pictures.plate_heatmap(plate(96), "v", wells=24)
    with pytest.raises(WellNameError):
        pictures.plate_heatmap(pl.DataFrame({"Metadata_Well": ["hello"], "v": [1.0]}), "v")


def test_same_input_same_bytes():
    assert pictures.plate_heatmap(plate(96), "v") == pictures.plate_heatmap(plate(96), "v")


def test_profile_map_has_a_panel_per_colouring():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(rng.normal(size=(40, 5)), schema=list("abcde")).with_columns(
        Metadata_MOA=pl.Series([None, *"AB", *[f"m{i}" for i in range(37)]]),
        Metadata_Dose=pl.Series(rng.random(40)),
        e=pl.lit(float("nan")),
    )
    one = opened(pictures.profile_map(frame, "Metadata_MOA"))
    two = opened(pictures.profile_map(frame, ["Metadata_MOA", "Metadata_Dose"], title="both"))
    assert two.shape[1] == 2 * one.shape[1]


def test_profile_map_has_a_row_per_table():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"Metadata_Batch": ["a", "b"] * 10}).hstack(
        [pl.Series(f"f{i}", rng.normal(size=20)) for i in range(4)]
    )
    one = opened(pictures.profile_map(frame, "Metadata_Batch"))
    two = opened(pictures.profile_map({"before": frame, "after": frame}, "Metadata_Batch"))
    assert two.shape[0] == 2 * one.shape[0]
    assert two.shape[1] == one.shape[1]


def test_profile_map_needs_profiles():
    with pytest.raises(ConfigurationError, match="too few"):
        pictures.profile_map(pl.DataFrame({"Metadata_MOA": ["A"], "x": [1.0]}), "Metadata_MOA")


def test_bars_and_histogram_are_drawn():
    opened(pictures.bars({"none": 0.6, "sphering": 0.85}, title="NSC"))
    opened(pictures.histogram([1.0, 2.0, float("nan")], unit="cells", limit=1.5))


def test_markdown_carries_the_picture():
    png = pictures.bars({"a": 1.0})
    text = pictures.as_markdown(png, "cells [per] well")
    found = re.fullmatch(r"!\[cells \(per\) well\]\(data:image/png;base64,([^)]+)\)", text)
    assert base64.b64decode(found[1]) == png
