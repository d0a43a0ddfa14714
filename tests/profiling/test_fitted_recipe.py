"""Fitted recipes: kept without pickle, and later plates never move earlier ones."""

import numpy as np
import polars as pl
import pytest

from phenolake import profiling
from phenolake.errors import (
    ConfigurationError,
    ControlsMissingError,
    ModelFileError,
    UnknownNameError,
)
from phenolake.profiling import Recipe, fit_recipe, follow_recipe

IS_CONTROL = pl.col("Metadata_ControlType") == "negcon"
FEATURES = [f"Cells_Texture_F{i}" for i in range(8)]
METHODS = ["none", "sphering", "mean_centring", "combat", "coral", "tvn"]


def plate_of(name: str, batch: str, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    offset = rng.normal(size=8)
    wells = [f"{row}{column:02d}" for row in "ABCD" for column in range(1, 7)]
    return pl.DataFrame(
        {
            "Metadata_Batch": batch,
            "Metadata_Plate": name,
            "Metadata_Well": wells,
            "Metadata_Perturbation": ["DMSO"] * 8 + [f"c{i % 4}" for i in range(16)],
            "Metadata_ControlType": ["negcon"] * 8 + ["trt"] * 16,
            "Metadata_CellCount": rng.integers(50, 150, 24),
        }
    ).hstack([pl.Series(f, rng.normal(size=24) + offset[i]) for i, f in enumerate(FEATURES)])


@pytest.fixture(scope="module")
def plates():
    return pl.concat([plate_of(f"P{n}", f"b{n // 2}", n) for n in range(4)])


@pytest.fixture(scope="module")
def later():
    return pl.concat([plate_of("P9", "b9", 90), plate_of("P10", "b0", 91)])


def values(frame):
    return frame.drop("^Metadata_.*$").to_numpy()


@pytest.mark.parametrize("method", METHODS)
def test_a_fit_gives_its_own_wells_what_the_recipe_gives(plates, method):
    recipe = profiling.RECIPES["moa_default"].with_correction(method)
    result = follow_recipe(plates, recipe, IS_CONTROL)
    assert result.fitted.transform(plates, IS_CONTROL).equals(result.profiles)


@pytest.mark.parametrize("method", [*METHODS, "harmony_scrna"])
def test_later_plates_never_move_earlier_ones(plates, later, method):
    recipe = profiling.RECIPES["moa_default"].with_correction(method)
    fitted = fit_recipe(plates, recipe, IS_CONTROL)
    alone = fitted.transform(plates, IS_CONTROL)
    together = fitted.transform(pl.concat([plates, later]), IS_CONTROL)
    np.testing.assert_allclose(values(together[:96]), values(alone), rtol=0, atol=1e-10)
    assert np.isfinite(values(together[96:])).all()


def test_a_later_plate_is_put_where_the_earlier_ones_are(plates, later):
    fitted = fit_recipe(plates, "moa_default", IS_CONTROL)
    corrected = fitted.transform(later, IS_CONTROL).filter(IS_CONTROL)
    origin = values(fitted.transform(plates, IS_CONTROL).filter(IS_CONTROL)).mean(axis=0)
    raw = values(later.filter(IS_CONTROL)).mean(axis=0)
    assert np.abs(values(corrected).mean(axis=0) - origin).mean() < 0.5 * np.abs(raw).mean()


@pytest.mark.parametrize(
    "steps",
    [
        [{"step": "well_position"}, {"step": "cell_density"}, {"step": "centre", "on": "all"}],
        [{"step": "normalize", "method": "inverse_normal"}],
        [{"step": "normalize", "method": "mad_robustize", "by": (), "epsilon": 0.1}],
        [{"step": "reduce_features", "method": "pca", "count": 3}],
        [{"step": "reduce_features", "method": "factor_analysis", "count": 2}],
        [{"step": "reduce_features", "method": "mrmr", "count": 4}],
        [{"step": "correct", "method": "harmony_scrna", "components": 4}],
        [{"step": "correct", "method": "tvn"}],
        [{"step": "select_features", "operations": ["variance", "correlation"]}],
    ],
)
def test_a_saved_fit_is_the_same_fit(plates, later, tmp_path, steps):
    fitted = fit_recipe(plates, Recipe("r", "", tuple(steps)), IS_CONTROL)
    fitted.save(tmp_path / "fit.safetensors")
    again = profiling.FittedRecipe.load(tmp_path / "fit.safetensors")
    wells = pl.concat([plates, later])
    assert again.transform(wells, IS_CONTROL).equals(fitted.transform(wells, IS_CONTROL))
    assert [dict(s)["step"] for s in again.recipe.steps] == [s["step"] for s in steps]


@pytest.mark.parametrize("method", ["pca", "factor_analysis"])
def test_a_reduction_is_the_map_it_tells(plates, method):
    reduced = profiling.reduce_features(plates, method, count=3)
    features = plates.select(profiling.feature_columns(plates)).to_numpy()
    expected = (features - reduced.centre) @ reduced.weights.T
    np.testing.assert_allclose(values(reduced.profiles), expected, atol=1e-12)
    if method == "factor_analysis":
        from sklearn.decomposition import FactorAnalysis

        theirs = FactorAnalysis(3, svd_method="lapack").fit_transform(features)
        np.testing.assert_allclose(np.abs(expected), np.abs(theirs), atol=1e-8)


def test_a_later_plate_without_a_feature_is_named(plates, later):
    fitted = fit_recipe(plates, "moa_default", IS_CONTROL)
    gap = later.with_columns(
        pl.when(pl.col("Metadata_Plate") == "P9").then(float("nan")).otherwise(FEATURES[3]).alias(FEATURES[3])
    )  # fmt: skip
    with pytest.raises(ConfigurationError, match=f"plate P9 has no value of {FEATURES[3]}"):
        fitted.transform(gap, IS_CONTROL)
    with pytest.raises(UnknownNameError, match=FEATURES[3]):
        fitted.transform(later.drop(FEATURES[3]), IS_CONTROL)


def test_a_later_plate_without_controls_is_named(plates, later):
    fitted = fit_recipe(plates, "moa_default", IS_CONTROL)
    with pytest.raises(ControlsMissingError, match="plate P9"):
        fitted.transform(later.filter(~IS_CONTROL | (pl.col("Metadata_Plate") != "P9")), IS_CONTROL)


def test_a_file_that_is_no_fit_is_a_clear_error(tmp_path):
    (tmp_path / "x").write_bytes(b"no safetensors")
    with pytest.raises(ModelFileError, match="no fitted recipe"):
        profiling.FittedRecipe.load(tmp_path / "x")


def test_adjustments_go_behind_the_normalization():
    recipe = profiling.RECIPES["moa_default"].with_adjustments(["well_position", "cell_density"])
    assert [step["step"] for step in recipe.steps] == [
        "normalize", "normalize", "well_position", "cell_density",
        "select_features", "signed_log", "correct", "centre",
    ]  # fmt: skip
    assert recipe.name == "moa_default+well_position+cell_density"
    with pytest.raises(UnknownNameError, match="well_position"):
        recipe.with_adjustments(["well_positions"])
