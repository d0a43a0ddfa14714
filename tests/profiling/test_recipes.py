"""Recipes: data that names steps, and what they reach on BBBC021."""

import json

import polars as pl
import pytest

from phenolake import correction, evaluation, profiling
from phenolake.errors import ConfigurationError, UnknownNameError

WELLS = pl.DataFrame(
    {
        "Metadata_Plate": ["P1"] * 4,
        "Metadata_ControlType": ["negcon", "negcon", "negcon", "trt"],
        "x": [1.0, 2.0, 4.0, 30.0],
        "y": [1.0, -1.0, 0.5, 2.0],
    }
)
IS_CONTROL = pl.col("Metadata_ControlType") == "negcon"


def test_recipes_are_plain_data():
    for recipe in profiling.RECIPES.values():
        assert json.loads(json.dumps(recipe.steps)) is not None


def test_a_recipe_is_the_chain_of_its_steps():
    recipe = profiling.Recipe(
        "mine", "", ({"step": "normalize", "method": "standardize"}, {"step": "signed_log"})
    )
    by_hand = profiling.signed_log(profiling.normalize(WELLS, "standardize", reference=IS_CONTROL))
    assert profiling.apply_recipe(WELLS, recipe, reference=IS_CONTROL).equals(by_hand)


def test_unknown_recipe_and_step_are_named():
    with pytest.raises(UnknownNameError, match="moa_default"):
        profiling.apply_recipe(WELLS, "moa_defaults")
    with pytest.raises(UnknownNameError, match="normalize"):
        profiling.apply_recipe(WELLS, profiling.Recipe("r", "", ({"step": "normalise"},)))
    with pytest.raises(ConfigurationError, match="does not name"):
        profiling.apply_recipe(WELLS, profiling.Recipe("r", "", ({"method": "standardize"},)))


@pytest.mark.filterwarnings("ignore::phenolake.correction.FeaturesDroppedWarning")
def test_moa_default_on_bbbc021(shared_data):
    wells = pl.read_parquet(shared_data / "bbbc021_profiles" / "well_mean_profiles.parquet")
    dmso = pl.col("Metadata_Compound") == "DMSO"
    columns = {"perturbation": "Metadata_Compound", "batch": "Metadata_Week"}

    def accuracies(recipe):
        profiles = profiling.apply_recipe(wells, recipe, reference=dmso, batch="Metadata_Week")
        treatments = profiling.consensus(
            profiles.filter(~dmso), ["Metadata_Compound", "Metadata_Concentration"], "mean"
        )
        results = [
            evaluation.moa_accuracy(treatments, scheme, **columns) for scheme in ("NSC", "NSCB")
        ]
        assert [result.n for result in results] == [73, 55]
        return [result.accuracy for result in results]

    assert accuracies("zscore") == pytest.approx(
        [46 / 73, 38 / 55]
    )  # published for these compounds
    nsc, nscb = accuracies("moa_default")
    assert nsc >= 0.88
    assert nscb >= 0.88


def test_recipe_uses_the_named_batch_column():
    recipe = profiling.Recipe("r", "", ({"step": "correct", "method": "mean_centring"},))
    wells = WELLS.with_columns(Metadata_Day=pl.Series(["1", "1", "2", "2"]))
    by_recipe = profiling.apply_recipe(wells, recipe, batch="Metadata_Day")
    assert by_recipe.equals(correction.correct(wells, "mean_centring", batch="Metadata_Day"))
