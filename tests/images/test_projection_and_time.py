from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter

from phenolake.errors import ImageReadError
from phenolake.images.projection import laplacian_energy, project
from phenolake.images.sites import complete_sites, read_site
from phenolake.screens.config import ScreenConfig

STACKS = arrays(np.uint16, st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6)))


def catalog(
    folder: Path, planes: list[tuple[int, int, str | None, int]], site: int = 1
) -> pl.DataFrame:
    """Rows (z, t, projection, value) of one well; every plane is constant."""
    rows = []
    for z, t, projection, value in planes:
        path = folder / f"{site}_{z}_{t}_{projection}.tif"
        tifffile.imwrite(path, np.full((4, 4), value, np.uint16))
        keys = {
            "Metadata_Screen": "s",
            "Metadata_Batch": "b",
            "Metadata_Plate": "p",
            "Metadata_Well": "A01",
        }
        facts = {"Metadata_Site": site, "channel": "DNA", "z": z, "t": t, "projection": projection}
        rows.append({**keys, **facts, "uri": str(path), "index_in_file": 0})
    return pl.DataFrame(rows, schema_overrides={"projection": pl.String})


def config(**values: object) -> ScreenConfig:
    return ScreenConfig(name="s", preset="nuclei_only", **values)  # type: ignore[arg-type]


def value_of(rows: pl.DataFrame, **values: object) -> float:
    (site,) = complete_sites(rows, config(**values))
    return float(read_site(site)[0, 0, 0]) * 65535


@given(STACKS)
def test_projections_equal_numpys(stack: np.ndarray) -> None:
    assert (project(iter(stack), "maximum", "") == stack.max(axis=0)).all()
    assert (project(iter(stack), "mean", "") == np.rint(stack.mean(axis=0)).astype(np.uint16)).all()


@given(STACKS, st.randoms())
@settings(deadline=None)
def test_the_order_of_planes_changes_no_projection_but_ties(
    stack: np.ndarray, random: object
) -> None:
    order = list(range(len(stack)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for method in ("maximum", "mean"):
        assert (project(iter(stack[order]), method, "") == project(iter(stack), method, "")).all()


def test_best_focus_takes_the_sharpest_plane() -> None:
    sharp = np.random.default_rng(0).integers(0, 4000, (64, 64)).astype(np.float32)
    stack = [gaussian_filter(sharp, 3), sharp, gaussian_filter(sharp, 1)]
    assert project(iter(stack), "best_focus", "") is sharp
    assert laplacian_energy(stack[0]) < laplacian_energy(stack[2]) < laplacian_energy(sharp)


def test_planes_of_other_shape_and_empty_stacks_are_refused() -> None:
    with pytest.raises(ImageReadError, match="expected shape"):
        project(iter([np.ones((2, 2)), np.ones((2, 3))]), "mean", "x.tif")
    with pytest.raises(ImageReadError, match="without planes"):
        project(iter([]), "mean", "x.tif")


def test_a_channels_projection_is_a_setting_of_the_screen(tmp_path: Path) -> None:
    rows = catalog(tmp_path, [(0, 0, None, 10), (1, 0, None, 20)])
    assert value_of(rows) == pytest.approx(20)
    assert value_of(rows, projection="mean") == pytest.approx(15)
    assert value_of(rows, projection={"DNA": "mean"}) == pytest.approx(15)
    assert value_of(rows, projection={"ER": "mean"}) == pytest.approx(20)


def test_the_instruments_maximum_stands_for_the_stacks_and_never_mixes_with_it(
    tmp_path: Path,
) -> None:
    rows = catalog(tmp_path, [(-1, 0, "maximum", 90), (0, 0, None, 10), (1, 0, None, 20)])
    assert value_of(rows) == pytest.approx(90)
    assert value_of(rows, projection="mean") == pytest.approx(15)
    only = catalog(tmp_path, [(-1, 0, "mean", 7)])
    assert value_of(only, projection="best_focus") == pytest.approx(7)
    unknown = catalog(tmp_path, [(-1, 0, "unknown", 7), (0, 0, None, 10)])
    assert value_of(unknown) == pytest.approx(10)


def test_time_points_are_chosen_or_all_kept_under_keys_of_their_own(tmp_path: Path) -> None:
    rows = pl.concat(
        [catalog(tmp_path, [(0, t, None, t + 1) for t in range(3)], site) for site in (1, 12)]
    )
    assert [(s.site, s.t) for s in complete_sites(rows, ["DNA"])] == [(1, 0), (12, 0)]
    assert [(s.site, s.t) for s in complete_sites(rows, config(time_points=2))] == [(1, 2), (12, 2)]
    found = complete_sites(rows, config(time_points="all"))
    assert sorted((s.site, s.t) for s in found) == [
        (1, 0),
        (12, 0),
        (101, 1),
        (112, 1),
        (201, 2),
        (212, 2),
    ]
    assert all(read_site(s)[0, 0, 0] * 65535 == pytest.approx(s.t + 1) for s in found)


def test_a_catalogue_of_the_first_version_is_still_read(tmp_path: Path) -> None:
    rows = catalog(tmp_path, [(0, 0, None, 5)]).drop("projection")
    assert value_of(rows) == pytest.approx(5)
