"""From cells to profiles: aggregate, normalize, select features, form consensus, run recipes.

Frames in and out are polars; every column that does not start with `Metadata_` is a feature.
"""

from __future__ import annotations

from phenolake.profiling.aggregation import aggregate
from phenolake.profiling.feature_matrix import feature_columns, metadata_columns
from phenolake.profiling.normalization import constant_features, normalize, signed_log
from phenolake.profiling.recipes import RECIPES, Recipe, apply_recipe
from phenolake.profiling.replicates import consensus
from phenolake.profiling.selection import Selection, select_features

__all__ = [
    "RECIPES",
    "Recipe",
    "Selection",
    "aggregate",
    "apply_recipe",
    "consensus",
    "constant_features",
    "feature_columns",
    "metadata_columns",
    "normalize",
    "select_features",
    "signed_log",
]
