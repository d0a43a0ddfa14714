"""Count: how many objects of each mask the field holds; the same for every object of a field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [FeatureName(compartment, "Count", "Objects")]


def measure(compartment: Compartment) -> NDArray[np.float64]:
    """Objects of this mask in the field, float64 (objects, 1)."""
    return np.full((compartment.objects.count, 1), float(compartment.objects.count))
