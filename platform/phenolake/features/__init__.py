"""Single-cell features with CellProfiler's names and definitions: `measure` and its vocabulary."""

from phenolake.features.dictionary import feature_dictionary
from phenolake.features.families import FAMILIES
from phenolake.features.measurement import compile_kernels, feature_names, measure
from phenolake.features.naming import FeatureName, is_position
from phenolake.features.presets import COLUMN_PRESETS, PRESETS
from phenolake.features.whole_field import measure_field

__all__ = [
    "COLUMN_PRESETS",
    "FAMILIES",
    "PRESETS",
    "FeatureName",
    "compile_kernels",
    "feature_dictionary",
    "feature_names",
    "is_position",
    "measure",
    "measure_field",
]
