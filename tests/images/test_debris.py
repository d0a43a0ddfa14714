from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from phenolake.compute import LocalCompute
from phenolake.images.quality_debris import debris_fractions
from phenolake.images.quality_dust import DustMap, dust_grid, dust_share
from phenolake.images.quality_flags import flag_outliers
from phenolake.images.quality_reference import appearance_of, learn_plate
from phenolake.images.sites import Site
from phenolake.simulation import SimulationPlan, simulate_site
from phenolake.simulation.layout import plate_layout
from phenolake.stages.quality import judge_plate


def field(seed: int, rounded: int = 0, size: int = 256) -> np.ndarray:
    """Nuclei, the cytoplasm around them and a third stain of the nuclei's kind; float32 (3, y, x)."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[:size, :size]
    image = np.full((3, size, size), 0.02)
    places = rng.permutation([(r, c) for r in range(20, size, 42) for c in range(20, size, 42)])
    count = len(places) * 2 // 3
    for number, (row, column) in enumerate(places[:count]):
        cy, cx = row + rng.uniform(-5, 5), column + rng.uniform(-5, 5)
        distance = np.hypot(y - cy, x - cx)
        bright = 3.0 if number < rounded else rng.uniform(0.8, 1.2)
        nucleus, cell = distance < 7, (distance >= 7) & (distance < 15)
        image[0] += 0.10 * bright * nucleus
        image[1] += 0.06 * min(bright, 2) * cell
        image[2] += 0.05 * bright * nucleus
    # Cells of different fields lie at different places.
    image = np.roll(image, rng.integers(0, size, 2), (1, 2))
    image = gaussian_filter(image, (0, 1, 1)) + 0.002 * rng.standard_normal(image.shape)
    return image.astype(np.float32)


@pytest.fixture(scope="module")
def plate() -> list[np.ndarray]:
    return [field(seed) for seed in range(20)]


def test_clean_fields_and_bright_rounded_cells_hold_no_debris(plate: list[np.ndarray]) -> None:
    cells = appearance_of(plate)
    for image in [*plate, *(field(seed, rounded=4) for seed in range(20, 26))]:
        np.testing.assert_array_equal(debris_fractions(image, cells), 0)


def test_a_fibre_is_debris_in_the_channels_that_show_it(plate: list[np.ndarray]) -> None:
    image = plate[3].copy()
    fibre = np.zeros(image.shape[1:])
    fibre[100:102, 30:210] = 0.5
    image[:2] += gaussian_filter(fibre, 1)
    dna, cytoplasm, other = debris_fractions(image, appearance_of(plate))
    area = 2 * 180 / image[0].size
    assert area < dna < 3 * area
    assert area < cytoplasm < 3 * area
    assert other < 0.1 * dna


def test_a_blob_out_of_focus_is_debris(plate: list[np.ndarray]) -> None:
    image = plate[5].copy()
    spot = np.zeros(image.shape[1:])
    spot[120:130, 120:130] = 1
    image[:2] += 0.5 * gaussian_filter(spot, 18) / gaussian_filter(spot, 18).max()
    shares = debris_fractions(image, appearance_of(plate))
    assert (shares[:2] > 0.02).all()
    assert shares[2] == 0


def test_a_speck_in_an_empty_field_is_debris(plate: list[np.ndarray]) -> None:
    image = (0.02 + 0.002 * np.random.default_rng(1).standard_normal(plate[0].shape)).astype("f4")
    cells = appearance_of(plate)
    assert (debris_fractions(image, cells) == 0).all()
    image[:2, 60:66, 80:86] += 0.4
    assert (debris_fractions(image, cells)[:2] > 0).all()


@pytest.mark.parametrize(("gain", "offset"), [(1, 0.2), (6, 0), (0.2, 0), (6, 0.2)])
def test_a_field_of_another_exposure_or_background_is_not_debris(
    plate: list[np.ndarray], gain: float, offset: float
) -> None:
    image = plate[2] * np.float32(gain) + np.float32(offset)
    np.testing.assert_array_equal(debris_fractions(image, appearance_of(plate)), 0)


@given(st.floats(0.1, 10), st.permutations(range(3)))
@settings(max_examples=8, deadline=None)
def test_gain_and_order_of_channels_change_nothing(gain: float, order: list[int]) -> None:
    images = [field(seed, size=128) for seed in range(5)]
    images[0][:2, 40:44, 20:100] += 0.5
    expected = debris_fractions(images[0], appearance_of(images))
    changed = [image[order] * np.float32(gain) for image in images]
    found = debris_fractions(changed[0], appearance_of(changed))
    np.testing.assert_allclose(found, expected[order], rtol=0.05)
    assert expected[0] > 0


@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_any_shape_gives_shares(channels: int, height: int, width: int) -> None:
    image = np.random.default_rng(0).random((channels, height, width), np.float32)
    shares = debris_fractions(image, appearance_of([image]))
    assert ((shares >= 0) & (shares <= 1)).all()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_constant_image_has_no_debris(value: float) -> None:
    image = np.full((2, 64, 64), value, np.float32)
    assert (debris_fractions(image, appearance_of([image])) == 0).all()


def dusty(images: list[np.ndarray], depth: float) -> np.ndarray:
    y, x = np.ogrid[: images[0].shape[1], : images[0].shape[2]]
    shadow = 1 - depth * np.exp(-((np.hypot(y - 60, x - 180) / 12) ** 2))
    found = DustMap()
    for image in images:
        found.add(dust_grid(image * shadow))
    return found.maps()


def test_a_shadow_in_every_field_is_dust_and_cells_are_none() -> None:
    images = [field(seed)[1:2] + np.float32(0.1) for seed in range(40)]
    assert dust_share(dusty(images, 0.0)) == 0
    (found,) = dusty(images, 0.4)
    row, column = np.unravel_index(np.argmin(found), found.shape)
    assert abs(row - 30) <= 3
    assert abs(column - 90) <= 3
    assert 0.001 < dust_share(found) < 0.05


def test_few_fields_tell_no_dust_from_cells() -> None:
    assert dusty([field(seed) for seed in range(5)], 0.4).size == 0


def written(folder: Path, images: list[np.ndarray]) -> Iterator[Site]:
    for number, image in enumerate(images, start=1):
        planes = []
        for channel, plane in enumerate(image):
            path = folder / f"{number}-{channel}.tif"
            tifffile.imwrite(path, (plane * 65535).astype(np.uint16))
            planes.append(((str(path), 0),))
        yield Site("s", "b", "p", f"A{number:02d}", 1, ("DNA", "ER", "RNA"), tuple(planes))


def test_the_dirty_site_of_a_plate_is_named_and_kept(
    tmp_path: Path, plate: list[np.ndarray]
) -> None:
    images = [image.copy() for image in plate]
    images[7][:2, 90:93, 20:120] += 0.5
    sites = list(written(tmp_path, images))
    Path(sites[4].planes[0][0][0]).write_bytes(b"broken")
    reference = learn_plate(sites)
    assert reference is not None
    assert reference.fields == 19
    judged = judge_plate(sites, LocalCompute(1), [], reference)
    flagged = flag_outliers(pl.DataFrame([row for site in judged for row in site]))
    bad = flagged.filter("is_debris")
    assert bad.select("Metadata_Well", "channel").rows() == [("A08", "DNA"), ("A08", "ER")]
    assert bad["is_usable"].all()
    assert set(flagged["dust_fraction"]) == {0.0}
    mapped = learn_plate(sites, compute=LocalCompute(1))
    assert mapped is not None
    np.testing.assert_array_equal(mapped.cells.slopes, reference.cells.slopes)


def test_nothing_to_learn_from_is_no_reference(tmp_path: Path) -> None:
    (site,) = written(tmp_path, [field(0)])
    Path(site.planes[0][0][0]).write_bytes(b"")
    assert learn_plate([site]) is None
    assert learn_plate([]) is None


def test_simulated_dirt_is_found_and_clean_fields_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A held-out plate with more dirt than usual; `benchmarks/image_quality.py` measures others."""
    monkeypatch.setattr("phenolake.simulation.optics.DIRT", 0.3)
    plan = SimulationPlan(seed=71, size=320, wells_used=36)
    wells = [well.name for well in plate_layout(plan, "P01")]
    found = [simulate_site(plan, "P01", well, 1) for well in wells]
    images = [one.image.astype(np.float32) / 65535 for one in found]
    cells = appearance_of(images[::2])
    flagged = np.array([debris_fractions(image, cells).max() > 5e-5 for image in images])
    dirty = np.array([one.dirt > 0 for one in found])
    assert dirty.sum() >= 6
    assert flagged[dirty].mean() >= 0.7
    assert flagged[~dirty].sum() <= 1


def test_clean_real_fields_are_not_called_dirty(shared_data: Path) -> None:
    plates = {
        "six channels": [
            sorted((shared_data / "cellpainting_6ch_field/images").glob("*ch[23456]*"))
        ],
        "nf1": [
            sorted((shared_data / "nf1_cellpainting_fields/images").glob(f"{well}_*"))
            for well in ("B7", "D6", "D7")
        ],
        "fkhr": [
            [path, path.with_name(path.name.replace("Channel1", "Channel2"))]
            for path in sorted((shared_data / "sbs_fkhr_plate/images").glob("Channel1-*"))[::6]
        ],
        "row O": [
            [path] for path in sorted((shared_data / "illumination_row_o").glob("*.TIF"))[::6]
        ],
    }
    for name, fields in plates.items():
        images = []
        for paths in fields:
            planes = np.stack([tifffile.imread(path) for path in paths])
            images.append(planes.astype(np.float32) / np.iinfo(planes.dtype).max)
        cells = appearance_of(images)
        shares = np.array([debris_fractions(image, cells).max() for image in images])
        assert (shares > 5e-5).sum() == 0, name
