"""Bad input: each kind is a named problem or a clear error, never a silent inf."""

import numpy as np
import polars as pl
import pytest

from phenolake import profiling
from phenolake.errors import ConfigurationError, ControlsMissingError
from phenolake.stages.screen_correction import correct_screen
from phenolake.stages.screen_profiles import selection_of

IS_CONTROL = pl.col("Metadata_ControlType") == "negcon"
FEATURES = [f"Cells_Texture_F{i}" for i in range(8)]
ALL_METHODS = ["none", "sphering", "mean_centring", "combat", "coral", "tvn", "harmony_scrna"]


@pytest.fixture
def wells():
    """Two batches of two plates: six controls and twelve treated wells each."""
    rng = np.random.default_rng(0)
    frames = []
    for number in range(4):
        names = ["DMSO"] * 6 + [f"c{i % 6}" for i in range(12)]
        frames.append(
            pl.DataFrame(
                {
                    "Metadata_Screen": "S",
                    "Metadata_Batch": f"b{number // 2}",
                    "Metadata_Plate": f"P{number}",
                    "Metadata_Well": [f"{'AB'[i // 12]}{i % 12 + 1:02d}" for i in range(18)],
                    "Metadata_Perturbation": names,
                    "Metadata_ControlType": ["negcon"] * 6 + ["trt"] * 12,
                    "Metadata_CellCount": [100] * 18,
                }
            ).hstack([pl.Series(name, rng.normal(size=18)) for name in FEATURES])
        )
    return pl.concat(frames)


def on(plate, name, value):
    return (
        pl.when(pl.col("Metadata_Plate") == plate).then(value).otherwise(pl.col(name)).alias(name)
    )


def problems(frame):
    return profiling.input_problems(frame, IS_CONTROL)


def test_sound_input_has_no_problem(wells):
    assert problems(wells).is_empty()


@pytest.mark.parametrize(
    ("problem", "where", "feature", "change"),
    [
        ("no_controls", "plate P1", None, on("P1", "Metadata_ControlType", pl.lit("trt"))),
        ("duplicated_well", "plate P2", None, on("P2", "Metadata_Well", pl.lit("A01"))),
        ("missing_feature", "plate P0", FEATURES[2], on("P0", FEATURES[2], float("nan"))),
        ("constant_controls", "plate P3", FEATURES[1], on("P3", FEATURES[1], 2.0)),
        (
            "infinite_values",
            "plate P0",
            FEATURES[0],
            pl.when(pl.int_range(pl.len()) == 3).then(np.inf).otherwise(FEATURES[0]).alias(FEATURES[0]),
        ),
        (
            "one_batch_only",
            "batch b0",
            None,
            pl.when((pl.col("Metadata_Perturbation") == "c3") & (pl.col("Metadata_Batch") == "b0"))
            .then(pl.lit("only here"))
            .otherwise("Metadata_Perturbation")
            .alias("Metadata_Perturbation"),
        ),
        (
            "two_spellings",
            "the whole table",
            None,
            pl.when(pl.col("Metadata_Plate") == "P0")
            .then(pl.col("Metadata_Perturbation").str.replace("c1", "C-1"))
            .otherwise("Metadata_Perturbation")
            .alias("Metadata_Perturbation"),
        ),
        ("one_plate_batch", "batch b9", None, on("P3", "Metadata_Batch", pl.lit("b9"))),
    ],
)  # fmt: skip
def test_each_problem_names_where_and_feature(wells, problem, where, feature, change):
    found = problems(wells.with_columns(change)).filter(problem=problem)
    assert (where, feature) in found.select("where", "feature").rows()


def test_a_plate_of_one_well_is_named(wells):
    lonely = wells.filter((pl.col("Metadata_Plate") != "P0") | (pl.col("Metadata_Well") == "A01"))
    assert problems(lonely)["problem"].to_list()[0] == "one_well"


def test_a_plate_without_controls_is_an_error_that_names_it(wells):
    bad = wells.with_columns(on("P1", "Metadata_ControlType", pl.lit("trt")))
    with pytest.raises(ControlsMissingError, match="plate P1"):
        correct_screen(bad, ["none"])


def test_a_screen_without_any_spread_says_why(wells):
    one_each = wells.filter(~IS_CONTROL | (pl.col("Metadata_Well") == "A01"))
    with pytest.raises(ConfigurationError, match="two control wells"):
        correct_screen(one_each, ["none"])


@pytest.mark.parametrize("method", ALL_METHODS)
def test_awkward_values_never_come_out_infinite(wells, method):
    awkward = wells.with_columns(
        pl.when(pl.int_range(pl.len()) == 3).then(np.inf).otherwise(FEATURES[0]).alias(FEATURES[0]),
        pl.lit(float("nan")).alias(FEATURES[1]),
        pl.lit(7.0).alias(FEATURES[2]),
        on("P1", FEATURES[3], 1e-300),
    )
    corrected = correct_screen(awkward, [method])
    features = profiling.feature_columns(corrected.profiles)
    assert features
    values = corrected.profiles.select(features).to_numpy()
    assert not np.isinf(values).any()
    assert np.isfinite(values).all() or method == "none"  # there the well's gap stays a gap
    # What was lost is listed by name.
    assert {FEATURES[1], FEATURES[2]} <= set(corrected.dropped["feature"])


def test_methods_sit_side_by_side_with_their_recipe(wells):
    profiles = correct_screen(wells, ALL_METHODS).profiles
    assert profiles["Metadata_Correction"].unique().sort().to_list() == sorted(ALL_METHODS)
    recipes = profiles.group_by("Metadata_Correction").agg(pl.col("Metadata_Recipe").unique())
    assert all(len(texts) == 1 for texts in recipes["Metadata_Recipe"])
    alone = profiling.apply_recipe(wells, "moa_default", IS_CONTROL)
    sphered = profiles.filter(Metadata_Correction="sphering")
    np.testing.assert_allclose(
        sphered.select(profiling.feature_columns(alone)).to_numpy(),
        alone.select(profiling.feature_columns(alone)).to_numpy(),
    )


def test_wells_without_batch_take_the_plate_for_it(wells):
    no_batch = wells.with_columns(Metadata_Batch=pl.lit(None, pl.String))
    by_plate = wells.with_columns(Metadata_Batch=pl.col("Metadata_Plate"))
    first, second = (
        correct_screen(frame, ["combat"]).profiles.select(FEATURES)
        for frame in (no_batch, by_plate)
    )
    assert first.equals(second)


def test_selection_is_listed_once_per_feature(wells):
    dropped = selection_of(wells.with_columns(pl.lit(7.0).alias(FEATURES[2])))
    assert dropped.select("feature", "operation").rows() == [(FEATURES[2], "missing")]
    assert dropped["recipe"].to_list() == ["moa_default"]
