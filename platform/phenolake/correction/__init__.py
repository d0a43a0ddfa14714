"""Batch correction of profiles: remove what the staining day did, keep what the compound did."""

from __future__ import annotations

from phenolake.correction.batch_maps import BatchMaps
from phenolake.correction.complete_features import FeaturesDroppedWarning, incomplete_features
from phenolake.correction.harmony import HarmonySettings, harmonize
from phenolake.correction.harmony_model import Harmony
from phenolake.correction.methods import METHODS, correct, fit_correction, load_correction
from phenolake.correction.sphering import Sphering

__all__ = [
    "METHODS",
    "BatchMaps",
    "FeaturesDroppedWarning",
    "Harmony",
    "HarmonySettings",
    "Sphering",
    "correct",
    "fit_correction",
    "harmonize",
    "incomplete_features",
    "load_correction",
]
