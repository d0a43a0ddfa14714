"""Single-cell features with CellProfiler's names and definitions: `measure` and its vocabulary."""

from phenolake.features.families import FAMILIES, PRESETS
from phenolake.features.measurement import compile_kernels, feature_names, measure
from phenolake.features.naming import FeatureName, is_position

__all__ = [
    "FAMILIES",
    "PRESETS",
    "FeatureName",
    "compile_kernels",
    "feature_names",
    "is_position",
    "measure",
]
