"""From cells to profiles: aggregate, normalize, select features, form consensus, run recipes.

Frames in and out are polars; every column that does not start with `Metadata_` is a feature.
"""

from __future__ import annotations

from phenolake.profiling.aggregation import aggregate
from phenolake.profiling.centring import centre
from phenolake.profiling.density import regress_density
from phenolake.profiling.feature_matrix import feature_columns, metadata_columns
from phenolake.profiling.fitted_recipe import (
    FittedRecipe,
    RecipeResult,
    apply_recipe,
    fit_recipe,
    follow_recipe,
)
from phenolake.profiling.heterogeneity import heterogeneity
from phenolake.profiling.input_problems import input_problems
from phenolake.profiling.normalization import constant_features, normalize, signed_log
from phenolake.profiling.recipes import ADJUSTMENTS, RECIPES, Recipe, recipe_named
from phenolake.profiling.reduction import Reduction, reduce_features
from phenolake.profiling.replicates import consensus
from phenolake.profiling.selection import Selection, select_features
from phenolake.profiling.well_position import correct_position

__all__ = [
    "ADJUSTMENTS",
    "RECIPES",
    "FittedRecipe",
    "Recipe",
    "RecipeResult",
    "Reduction",
    "Selection",
    "aggregate",
    "apply_recipe",
    "centre",
    "consensus",
    "constant_features",
    "correct_position",
    "feature_columns",
    "fit_recipe",
    "follow_recipe",
    "heterogeneity",
    "input_problems",
    "metadata_columns",
    "normalize",
    "recipe_named",
    "reduce_features",
    "regress_density",
    "select_features",
    "signed_log",
]
