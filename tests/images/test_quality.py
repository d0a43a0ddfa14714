from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata, spearmanr

from phenolake.compute import LocalCompute
from phenolake.errors import ScreenConfigError
from phenolake.images.planes import Problem
from phenolake.images.quality import blur_width, plane_quality
from phenolake.images.quality_flags import QualityLimits, flag_outliers, unusable_sites
from phenolake.images.sites import Site
from phenolake.screens.config import load_screen_config
from phenolake.stages.profiles import profile_wells
from phenolake.stages.quality import judge_plate
from plates import blobs


def squares(sigma: float, noise: float = 0.0, size: int = 512) -> np.ndarray:
    rng = np.random.default_rng(1)
    plane = np.full((size, size), 0.1)
    for y, x in rng.integers(20, size - 80, (25, 2)):
        plane[y : y + 60, x : x + 60] = 0.6
    return (gaussian_filter(plane, sigma) + noise * rng.standard_normal(plane.shape)).astype(
        np.float32
    )


@pytest.mark.parametrize("sigma", [2.0, 4.0, 8.0, 14.0])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_known_blur_of_edges_is_found(sigma: float, noise: float) -> None:
    assert blur_width(squares(sigma, noise)) == pytest.approx(sigma, rel=0.25)


@given(st.floats(0.05, 20), st.floats(0, 5))
@settings(max_examples=20, deadline=None)
def test_blur_depends_on_neither_gain_nor_offset(gain: float, offset: float) -> None:
    plane = squares(3.0, 0.01, 256)
    assert blur_width(plane * np.float32(gain) + np.float32(offset)) == pytest.approx(
        blur_width(plane), rel=0.05
    )


def test_an_image_of_noise_or_nothing_has_no_edges() -> None:
    assert np.isnan(blur_width(np.zeros((64, 64), np.float32)))
    assert np.isnan(blur_width(np.zeros((8, 8), np.float32)))


def rows(**changed: list[object]) -> pl.DataFrame:
    count = 12
    columns: dict[str, list[object]] = {
        "Metadata_Well": [f"A{i:02d}" for i in range(1, count + 1)],
        "Metadata_Site": [1] * count,
        "channel": ["DNA"] * count,
        "power_log_log_slope": [-2.0 - 0.02 * (i % 5) for i in range(count)],
        "blur_px": [2.0 + 0.05 * (i % 5) for i in range(count)],
        "background": [0.1 + 0.001 * (i % 5) for i in range(count)],
        "p99_intensity": [0.5] * count,
        "saturated_fraction": [0.0] * count,
        "debris_fraction": [0.001 * (i % 3) for i in range(count)],
        "fingerprint": [f"{i:016x}" for i in range(count)],
    }
    for name, values in changed.items():
        columns[name][-len(values) :] = values
    return pl.DataFrame(columns, strict=False)


@pytest.mark.parametrize(
    ("changed", "reason", "usable"),
    [
        ({"power_log_log_slope": [-4.0], "blur_px": [6.0]}, "blurred", False),
        ({"power_log_log_slope": [-4.0]}, None, True),  # few structures, sharp edges
        ({"blur_px": [6.0]}, None, True),
        ({"saturated_fraction": [0.3]}, "saturated", True),
        ({"debris_fraction": [0.4]}, "debris", True),
        ({"background": [0.3]}, "background", True),
        ({"fingerprint": [f"{0:016x}"]}, "duplicate", False),
        ({"p99_intensity": [0.1]}, "empty", True),
        ({"blur_px": [float("nan")], "power_log_log_slope": [float("nan")]}, None, True),
    ],
)
def test_the_last_image_is_flagged_with_its_reason(
    changed: dict[str, list[object]], reason: str | None, usable: bool
) -> None:
    flagged = flag_outliers(rows(**changed))
    assert flagged["reason"].to_list() == [None] * 11 + [reason]
    assert flagged["is_usable"].to_list() == [True] * 11 + [usable]


@pytest.mark.parametrize("offset", [0.002, 0.005, 0.05])
def test_a_well_without_cells_is_empty_whatever_the_offset(offset: float) -> None:
    noise = offset + 0.0005 * np.random.default_rng(2).standard_normal((256, 256))
    fields = [squares(1.5, 0.001, 256) + np.float32(offset) for _ in range(5)]
    shrunk = [np.float32(offset) + 0.1 * field for field in fields]
    judged = [plane_quality(p.astype(np.float32)) for p in (noise, *fields, *shrunk)]
    for number, row in enumerate(judged):
        row |= {"channel": "DNA", "fingerprint": str(number)}
    flagged = flag_outliers(pl.DataFrame(judged))
    assert flagged["is_empty"].to_list() == [True] + [False] * 10


def test_the_screen_sets_limits_and_what_is_left_out() -> None:
    limits = QualityLimits(saturated_fraction=0.5, exclude=("background",), max_blur_px=5)
    flagged = flag_outliers(
        rows(saturated_fraction=[0.3], background=[0.3], blur_px=[6.0]), limits=limits
    )
    assert flagged["reason"][-1] == "blurred, background"
    assert unusable_sites(flagged).rows() == [("A12", 1, "DNA: blurred, background")]
    other = limits.model_copy(update={"channels": ("RNA",)})
    assert flag_outliers(rows(background=[0.3]), limits=other)["is_usable"].all()


def test_limits_come_from_screen_yaml(tmp_path: Path) -> None:
    file = tmp_path / "screen.yaml"
    file.write_text("quality: {robust_sd: 3, exclude: [saturated]}\n")
    assert load_screen_config(file, "s").quality.exclude == ("saturated",)
    file.write_text("quality: {exclude: [ugly]}\n")
    with pytest.raises(ScreenConfigError, match=r"quality\.exclude"):
        load_screen_config(file, "s")


@given(st.permutations(range(12)))
@settings(max_examples=20, deadline=None)
def test_order_changes_no_robust_call(order: list[int]) -> None:
    base = rows(power_log_log_slope=[-4.0], blur_px=[6.0], background=[0.3])
    names = ["is_blurred", "is_background_outlier", "is_debris"]
    expected = flag_outliers(base).select("Metadata_Well", *names).sort("Metadata_Well")
    shuffled = flag_outliers(base[order]).select("Metadata_Well", *names).sort("Metadata_Well")
    assert shuffled.equals(expected)


def test_cells_of_unusable_sites_are_left_out_of_profiles() -> None:
    cells = pl.DataFrame(
        {
            "Metadata_Screen": ["S"] * 4,
            "Metadata_Plate": ["P"] * 4,
            "Metadata_Well": ["A01", "A01", "A01", "A02"],
            "Metadata_Site": pl.Series([1, 1, 2, 2], dtype=pl.Int32),
            "Metadata_ObjectNumber": [1, 2, 1, 1],
            "Nuclei_AreaShape_Area": [1.0, 3.0, 99.0, 7.0],
        }
    )
    treatments = pl.DataFrame(
        {"Metadata_Screen": "S", "Metadata_Plate": "P", "Metadata_Well": ["A01", "A02"]}
    )
    quality = pl.DataFrame(
        {
            "Metadata_Well": ["A01", "A02"],
            "Metadata_Site": pl.Series([2, 2], dtype=pl.Int32),
            "channel": ["DNA", "DNA"],
            "reason": ["blurred", None],
            "is_usable": [False, True],
        }
    )
    for masks in (cells.select("Metadata_Well", "Metadata_Site"), pl.DataFrame()):
        profiles = profile_wells(cells.lazy(), treatments, masks, quality)
        assert profiles["Nuclei_AreaShape_Area"].to_list() == [2.0, 7.0]
        assert profiles["Metadata_CellCount"].to_list() == [2, 1]
        assert profiles["Metadata_SiteCount"].to_list() == [1, 1]
    kept = profile_wells(cells.lazy(), treatments, pl.DataFrame())
    assert kept["Metadata_CellCount"].to_list() == [3, 1]


def test_a_plate_is_judged_and_its_doubled_image_named(tmp_path: Path) -> None:
    sites = []
    for number in range(6):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, blobs(min(number, 4), size=128))
        sites.append(Site("s", "b", "p", f"A0{number + 1}", 1, ("DNA",), (((str(path), 0),),)))
    (tmp_path / "2.tif").write_bytes(b"broken")
    problems: list[Problem] = []
    judged = [row for site in judge_plate(sites, LocalCompute(1), problems) for row in site]
    flagged = flag_outliers(pl.DataFrame(judged))
    assert flagged.filter("is_duplicate")["Metadata_Well"].to_list() == ["A06"]
    assert [p.well for p in problems] == ["A03"]


@pytest.fixture(scope="module")
def focus_levels(shared_data: Path) -> pl.DataFrame:
    folder = shared_data / "bbbc005_focus_counts"
    with (folder / "labels.csv").open() as file:
        labels = list(csv.DictReader(file))
    measured = []
    for row in labels:
        plane = tifffile.imread(folder / "images" / row["image_name"]).astype(np.float32) / 255
        measured.append(
            {**plane_quality(plane), "level": int(row["blur_level"]), "stain": row["stain"]}
        )
    return pl.DataFrame(measured)


@pytest.mark.parametrize(("measure", "sign"), [("blur_px", 1), ("power_log_log_slope", -1)])
@pytest.mark.parametrize("stain", ["1", "2"])
def test_real_focus_levels_are_ranked_and_told_apart(
    focus_levels: pl.DataFrame, measure: str, sign: int, stain: str
) -> None:
    """Three levels tie their images: a perfect ranking reaches a Spearman of 0.943, not 1."""
    rows = focus_levels.filter(pl.col("stain") == stain)
    value, level = sign * rows[measure].to_numpy(), rows["level"].to_numpy()
    perfect = spearmanr(np.argsort(np.argsort(level, kind="stable")), level)[0]
    assert spearmanr(value, level)[0] >= 0.95 * perfect
    sharp, blurred = value[level == 1], value[level > 1]
    ranks = rankdata(np.concatenate([sharp, blurred]))[len(sharp) :]
    pairs = len(sharp) * len(blurred)
    auc = (ranks.sum() - len(blurred) * (len(blurred) + 1) / 2) / pairs
    assert auc >= 0.99


def test_octaves_of_blur_rank_real_levels(focus_levels: pl.DataFrame) -> None:
    """The measure to rank by: images of one focus share a value, so that ties cost nothing."""
    octave, level = focus_levels["blur_octave"].to_numpy(), focus_levels["level"].to_numpy()
    assert spearmanr(octave, level)[0] >= 0.95
    sharp, blurred = octave[level == 1], octave[level > 1]
    assert (blurred[:, None] > sharp).mean() >= 0.99


def test_debris_on_a_plate_full_of_it_is_judged_by_the_plate() -> None:
    shares = [0.001 + 0.0001 * (i % 3) for i in range(11)]
    flagged = flag_outliers(rows(debris_fraction=[*shares, 0.3]))
    assert flagged["is_debris"].to_list() == [False] * 11 + [True]
