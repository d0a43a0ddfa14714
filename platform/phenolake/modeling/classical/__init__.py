"""Classifiers on measured features, other than the forest: linear ones and boosted trees."""

from __future__ import annotations

from phenolake.modeling.classical.boosting import BoostedTrees, train_boosting
from phenolake.modeling.classical.linear import LinearClassifier, train_linear

__all__ = ["BoostedTrees", "LinearClassifier", "train_boosting", "train_linear"]
