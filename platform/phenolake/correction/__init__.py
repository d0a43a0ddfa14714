"""Batch correction of profiles: remove what the staining day did, keep what the compound did."""

from __future__ import annotations

from phenolake.correction.complete_features import FeaturesDroppedWarning, incomplete_features
from phenolake.correction.methods import METHODS, correct
from phenolake.correction.sphering import Sphering

__all__ = ["METHODS", "FeaturesDroppedWarning", "Sphering", "correct", "incomplete_features"]
