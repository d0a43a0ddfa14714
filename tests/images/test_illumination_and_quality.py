from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from phenolake.errors import ImageReadError
from phenolake.images.illumination import estimate_illumination
from phenolake.images.quality import flag_outliers, plane_quality, power_log_log_slope
from phenolake.images.sites import Site, read_site
from plates import blobs
from scipy.ndimage import gaussian_filter


def site(folder: Path, name: str, image: np.ndarray) -> Site:
    path = folder / f"{name}.tif"
    tifffile.imwrite(path, image)
    return Site("s", "b", "p", name, 1, ("DNA",), (((str(path), 0),),))


def test_a_known_vignette_is_found_and_removed(tmp_path: Path) -> None:
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    light = 1.6 - 0.3 * (x**2 + y**2)
    rng = np.random.default_rng(0)
    sites = [
        site(tmp_path, f"w{i}", (light * rng.gamma(20, 100, light.shape)).astype(np.uint16)) for i in range(40)
    ]
    (found,) = estimate_illumination(sites)
    assert found.images == 40
    assert np.corrcoef(found.function.ravel(), light.ravel())[0, 1] > 0.98
    corrected = [read_site(s, {"DNA": found.function}) for s in sites]
    mean = gaussian_filter(np.mean(corrected, axis=0)[0], 5)
    assert mean.std() / mean.mean() < 0.03


def test_a_few_images_give_a_flat_function(tmp_path: Path) -> None:
    (found,) = estimate_illumination([site(tmp_path, "a", blobs(1))])
    assert (found.function == 1).all()


def test_the_real_plates_function_agrees_with_cellprofilers(shared_data: Path) -> None:
    folder = shared_data / "sbs_fkhr_plate"
    paths = sorted(folder.glob("images/Channel2-*.tif"))
    sites = [Site("s", "b", "p", p.stem, 1, ("DNA",), (((str(p), 0),),)) for p in paths]
    (found,) = estimate_illumination(sites)
    reference = np.load(folder / "cellprofiler_illumination" / "Channel2ILLUM.npz")["illumination"]
    assert np.corrcoef(found.function.ravel(), reference.ravel())[0, 1] >= 0.95


def test_blur_lowers_focus_and_steepens_the_slope() -> None:
    sharp = blobs(3, size=256).astype(np.float32) / 65535
    blurred = gaussian_filter(sharp, 4)
    assert plane_quality(blurred)["focus_score"] < plane_quality(sharp)["focus_score"]
    assert power_log_log_slope(blurred) < power_log_log_slope(sharp)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_image_has_no_slope(value: float) -> None:
    assert np.isnan(power_log_log_slope(np.full((64, 64), value)))


@given(st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_any_shape_gives_numbers_or_nan_and_no_error(height: int, width: int) -> None:
    plane = np.random.default_rng(0).random((height, width), np.float32)
    assert set(plane_quality(plane)) >= {"focus_score", "background"}


def test_the_odd_image_out_is_flagged() -> None:
    rows = pl.DataFrame(
        {
            "channel": ["DNA"] * 8,
            "power_log_log_slope": [-2.0, -2.1, -1.9, -2.05, -2.0, -1.95, -4.5, float("nan")],
            "background": [0.1] * 8,
            "p99_intensity": [0.5] * 7 + [0.1],
            "saturated_fraction": [0.0] * 5 + [0.2, 0.0, 0.0],
        }
    )
    flagged = flag_outliers(rows)
    assert flagged["is_blurred"].to_list() == [False] * 6 + [True, False]
    assert flagged["is_saturated"].to_list() == [False] * 5 + [True, False, False]
    assert flagged["is_empty"].to_list() == [False] * 7 + [True]


def test_integer_pixels_are_scaled_by_their_type_and_stacks_projected(tmp_path: Path) -> None:
    low, high = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    path = tmp_path / "z.tif"
    tifffile.imwrite(path, np.stack([low, high]), photometric="minisblack")
    stack = Site("s", "b", "p", "A01", 1, ("DNA",), (((str(path), 0), (str(path), 1)),))
    assert (read_site(stack) == 1.0).all()


def test_an_illumination_function_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match="expected shape"):
        read_site(site(tmp_path, "a", blobs(1)), {"DNA": np.ones((3, 3), np.float32)})
