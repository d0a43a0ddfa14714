from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from phenolake.compute import LocalCompute
from phenolake.errors import ImageReadError
from phenolake.images.correction import Correction
from phenolake.images.illumination import estimate_illumination
from phenolake.images.quality import flag_outliers, plane_quality, power_log_log_slope
from phenolake.images.sites import Site, read_site
from phenolake.lake import Lake, encode_array
from phenolake.stages.light import illumination_file, read_corrected
from plates import blobs


def site(folder: Path, name: str, image: np.ndarray) -> Site:
    path = folder / f"{name}.tif"
    tifffile.imwrite(path, image)
    return Site("s", "b", "p", name, 1, ("DNA",), (((str(path), 0),),))


def test_a_known_vignette_is_found_and_removed(tmp_path: Path) -> None:
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    light = 1.6 - 0.3 * (x**2 + y**2)
    rng = np.random.default_rng(0)
    sites = [
        site(tmp_path, f"w{i}", (light * rng.gamma(20, 100, light.shape)).astype(np.uint16))
        for i in range(40)
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


def test_few_fields_of_few_cells_do_not_print_their_cells_into_the_light(tmp_path: Path) -> None:
    """Better than no correction, and the more fields the closer to the truth."""
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    light = 1.2 - 0.25 * (x**2 + y**2)
    light /= light.mean()
    rng = np.random.default_rng(4)
    sites = []
    for number in range(120):
        cells = np.zeros(light.shape)
        rows, columns = rng.integers(0, 128, (2, 25))
        cells[rows, columns] = rng.uniform(1, 2, 25)
        image = light * (400 + 60_000 * gaussian_filter(cells, 4))
        sites.append(site(tmp_path, f"w{number}", image.astype(np.uint16)))
    errors = []
    for count in (15, 120):
        (found,) = estimate_illumination(sites[:count])
        errors.append(float((found.function / found.function.mean() / light).std()))
    assert errors[0] <= 1.1 * light.std()
    assert errors[1] <= 0.5 * light.std()


def test_debris_and_empty_fields_change_the_function_little(tmp_path: Path) -> None:
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    light = 1.6 - 0.3 * (x**2 + y**2)
    rng = np.random.default_rng(0)
    images = [light * rng.gamma(20, 100, light.shape) for _ in range(40)]
    clean = [site(tmp_path, f"c{i}", image.astype(np.uint16)) for i, image in enumerate(images)]
    for number in (3, 17, 29):
        images[number][10:50, 10:50] += 40_000
    for number in (5, 31):
        images[number][:] = 300 + 2 * x * np.arange(96)
    dirty = [site(tmp_path, f"d{i}", image.astype(np.uint16)) for i, image in enumerate(images)]
    (expected,), (found,) = estimate_illumination(clean), estimate_illumination(dirty)
    assert found.images == 38
    np.testing.assert_allclose(found.function, expected.function, rtol=0.03)


def test_more_fields_than_the_most_are_sampled_over_the_plate(tmp_path: Path) -> None:
    sites = [site(tmp_path, f"w{i}", blobs(i % 5, size=64)) for i in range(30)]
    (found,) = estimate_illumination(sites, max_sites=12)
    assert found.images == 12


def test_workers_give_the_same_function(tmp_path: Path) -> None:
    sites = [site(tmp_path, f"w{i}", blobs(i, size=64)) for i in range(12)]
    (alone,) = estimate_illumination(sites)
    (mapped,) = estimate_illumination(sites, compute=LocalCompute(1))
    np.testing.assert_array_equal(alone.function, mapped.function)


def test_an_additive_pattern_is_subtracted(tmp_path: Path) -> None:
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    pattern = 2000 + 800 * x + 300 * y
    sites = [
        site(
            tmp_path,
            f"w{i}",
            (pattern + np.roll(blobs(i), (i * 37, i * 53), (0, 1))).astype(np.uint16),
        )
        for i in range(30)
    ]
    (found,) = estimate_illumination(sites, convention="subtract")
    assert found.convention == "subtract"
    assert np.corrcoef(found.function.ravel(), pattern.ravel())[0, 1] > 0.95
    corrected = read_site(sites[0], {"DNA": Correction(found.function, "subtract")})[0]
    left, right = np.percentile(corrected[:, :40], 20), np.percentile(corrected[:, -40:], 20)
    assert abs(left - right) < 0.2 * 1600 / 65535


def test_the_background_is_what_the_darkest_fields_hold(tmp_path: Path) -> None:
    sites = [site(tmp_path, f"w{i}", np.full((64, 64), 500 + 10 * i, np.uint16)) for i in range(12)]
    (found,) = estimate_illumination(sites)
    assert 500 <= found.background * 65535 <= 520
    plane = read_site(sites[0], {"DNA": Correction(found.function, background=found.background)})
    assert plane.max() <= 20 / 65535


def test_the_rule_of_the_table_reaches_the_pixels(tmp_path: Path) -> None:
    one = site(tmp_path, "a", np.full((4, 6), 65535, np.uint16))
    half = np.full((4, 6), 0.5, np.float32)
    for convention, subtracted, expected in (
        ("divide", 0.0, 2.0),
        ("divide", 0.25, 1.5),
        ("subtract", 0, 0.5),
    ):
        row = {"channel": "DNA", "illumination": encode_array(half), "height": 4, "width": 6}
        rows = pl.DataFrame([{**row, "convention": convention, "subtracted": float(subtracted)}])
        with illumination_file(rows, ["DNA"], Lake(str(tmp_path / "lake"))) as file:
            np.testing.assert_allclose(read_corrected(one, file), expected)


def test_correction_takes_four_fifths_of_the_trend_off_held_out_fields(shared_data: Path) -> None:
    """Trend: SD of the mean held-out field (each scaled to mean 1), smoothed over 1/20 of its edge."""
    paths = sorted((shared_data / "illumination_row_o").glob("*.TIF"))
    sites = [Site("s", "b", "p", p.stem, 1, ("GFP",), (((str(p), 0),),)) for p in paths]
    wells = sorted({p.stem[-8:-5] for p in paths})
    held_out = [s for s in sites if s.well[-8:-5] in wells[::2]]
    (found,) = estimate_illumination([s for s in sites if s not in held_out])

    def trend(light: dict[str, np.ndarray] | None) -> float:
        fields = [read_site(s, light)[0] for s in held_out]
        mean = np.mean([field / field.mean() for field in fields], axis=0)
        return float(gaussian_filter(mean, mean.shape[0] / 20, mode="nearest").std())

    assert trend({"GFP": found.function}) <= 0.2 * trend(None)


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
