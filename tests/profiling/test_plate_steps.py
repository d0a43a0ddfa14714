"""Steps that can be switched on: well position, cell density, centring, more normalizations."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from phenolake import profiling
from phenolake.errors import ConfigurationError, ControlsMissingError, UnknownNameError
from phenolake.identity import Well

IS_CONTROL = pl.col("Metadata_ControlType") == "negcon"


def plate(rows=4, columns=6, seed=0):
    rng = np.random.default_rng(seed)
    places = [(r, c) for r in range(1, rows + 1) for c in range(1, columns + 1)]
    return pl.DataFrame(
        {
            "Metadata_Plate": ["P1"] * len(places),
            "Metadata_Well": [Well(*place).name for place in places],
            "Metadata_ControlType": ["negcon" if c == 1 else "trt" for _, c in places],
            "Metadata_CellCount": rng.integers(50, 500, len(places)),
            "x": rng.normal(size=len(places)),
            "y": rng.normal(size=len(places)),
        }
    )


def test_median_polish_takes_row_and_column_effects_away():
    wells = plate()
    place = [Well.parse(name) for name in wells["Metadata_Well"]]
    effect = pl.Series([10.0 * p.row - 7.0 * p.column for p in place])
    corrected = profiling.correct_position(wells.with_columns(x=effect))
    np.testing.assert_allclose(corrected["x"], effect.median())
    again = profiling.correct_position(wells.with_columns(pl.col("x") + effect), iterations=100)
    plain = profiling.correct_position(wells, iterations=100)
    np.testing.assert_allclose(
        again["x"] - again["x"].median(), plain["x"] - plain["x"].median(), atol=1e-6
    )


def test_one_strong_well_survives_the_polish():
    wells = plate().with_columns(
        x=pl.when(pl.col("Metadata_Well") == "B03").then(100.0).otherwise(1.0)
    )
    corrected = profiling.correct_position(wells)
    assert corrected.filter(Metadata_Well="B03")["x"].item() == 100


def test_edge_wells_are_levelled_with_the_inside():
    wells = plate()
    place = [Well.parse(name) for name in wells["Metadata_Well"]]
    edge = np.array([p.row in (1, 4) or p.column in (1, 6) for p in place])
    corrected = profiling.correct_position(wells.with_columns(x=pl.Series(edge * 5.0)), "edge")
    assert corrected["x"].unique().to_list() == [0]


def test_short_rows_are_left_alone():
    few = plate(2, 2)
    assert profiling.correct_position(few).select("x", "y").equals(few.select("x", "y"))


def test_density_regression_takes_away_what_the_count_explains():
    wells = plate()
    density = wells["Metadata_CellCount"].log1p()
    dense = wells.with_columns(x=2.0 + 3.0 * density)
    corrected = profiling.regress_density(dense, reference=IS_CONTROL)
    level = 2 + 3 * density.filter(dense.select(IS_CONTROL).to_series()).mean()
    np.testing.assert_allclose(corrected["x"], level)


def test_density_lines_are_those_of_numpy():
    wells = plate(seed=3)
    controls = wells.filter(IS_CONTROL)
    slope, _ = np.polyfit(controls["Metadata_CellCount"].log1p(), controls["x"], 1)
    corrected = profiling.regress_density(wells, reference=IS_CONTROL)
    moved = (wells["x"] - corrected["x"]).to_numpy()
    expected = slope * (
        wells["Metadata_CellCount"].log1p() - controls["Metadata_CellCount"].log1p().mean()
    )
    np.testing.assert_allclose(moved, expected, atol=1e-9)


def test_density_says_what_is_missing():
    with pytest.raises(ConfigurationError, match="Metadata_CellCount"):
        profiling.regress_density(plate().with_columns(Metadata_CellCount=pl.lit(None, pl.Int64)))
    with pytest.raises(ControlsMissingError, match="plate P1"):
        profiling.regress_density(plate(), reference=pl.col("Metadata_ControlType") == "poscon")


def test_centre_puts_the_chosen_wells_at_the_origin():
    wells = plate()
    for on, chosen in (("treated", ~IS_CONTROL), ("reference", IS_CONTROL), ("all", pl.lit(True))):
        centred = profiling.centre(wells, on, IS_CONTROL).filter(chosen)
        np.testing.assert_allclose(centred.select("x", "y").to_numpy().mean(axis=0), 0, atol=1e-12)
    with pytest.raises(UnknownNameError, match="treated"):
        profiling.centre(wells, "treatd")


def test_range_and_percentile_scale_the_controls():
    wells = plate()
    scaled = profiling.normalize(wells, "range", reference=IS_CONTROL).filter(IS_CONTROL)["x"]
    assert (scaled.min(), scaled.max()) == (0, 1)
    controls = wells.filter(IS_CONTROL)["x"].to_numpy()
    low, high = np.quantile(controls, (0.01, 0.99))
    percentile = profiling.normalize(wells, "percentile", reference=IS_CONTROL)["x"]
    np.testing.assert_allclose(percentile, (wells["x"].to_numpy() - low) / (high - low))


def test_inverse_normal_gives_bloms_quantiles():
    wells = plate()
    scores = profiling.normalize(wells, "inverse_normal", by=())["x"].to_numpy()
    ranks = wells["x"].rank().to_numpy()
    np.testing.assert_allclose(scores, norm.ppf((ranks - 0.375) / (24 + 0.25)))


def test_inverse_normal_of_a_value_beyond_the_controls_is_finite():
    wells = plate().with_columns(
        x=pl.when(pl.col("Metadata_Well") == "B03").then(1e9).otherwise("x")
    )
    scores = profiling.normalize(wells, "inverse_normal", reference=IS_CONTROL)["x"]
    assert scores.is_finite().all()
    assert scores.max() == scores[8]


def test_pooled_spread_is_that_of_all_plates_together():
    two = pl.concat([plate(seed=1), plate(seed=2).with_columns(Metadata_Plate=pl.lit("P2"))])
    centred = profiling.normalize(two, "centre", reference=IS_CONTROL)
    pooled = profiling.normalize(centred, "standardize", by=(), reference=IS_CONTROL)
    assert pooled.filter(IS_CONTROL)["x"].std(ddof=0) == pytest.approx(1)
    assert profiling.normalize(centred, "standardize", by=(), reference=IS_CONTROL).equals(pooled)
