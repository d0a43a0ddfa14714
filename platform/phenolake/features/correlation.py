"""Correlation: how the intensities of two channels go together within each object.

Definitions and names as CellProfiler 4 (MeasureColocalization); Costes is a family of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName

_THRESHOLD_PERCENT = 15
#: Measure, and whether the second channel comes first in its name.
_MEASURES = (
    ("Correlation", False),
    ("Slope", False),
    ("Overlap", False),
    ("K", False),
    ("K", True),
    ("Manders", False),
    ("Manders", True),
    ("RWC", False),
    ("RWC", True),
)


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [
        FeatureName(compartment, "Correlation", measure, pair[::-1] if swapped else pair)
        for pair in combinations(channels, 2)
        for measure, swapped in _MEASURES
    ]


def measure(compartment: Compartment) -> NDArray[np.float64]:
    """Coefficients of each object and channel pair, float64 (objects, pairs * 9).

    `Slope_A_B` is the least-squares slope of B on A. `Overlap`, `K`, `Manders` and `RWC` use the
    pixels where both channels reach 15 per cent of their largest value in the object; without such
    pixels they are 0. Ranks of `RWC` are dense: equal intensities share one.

    NaN: `Correlation` and `Slope` of a constant channel or a one-pixel object; the others where
    the denominator is 0.

    References
    ----------
    Manders, Verbeek and Aten (1993), J. Microscopy 169, 375-382.
    Singan, Jones, Curran and Simpson (2011), BMC Bioinformatics 12, 407 (RWC).
    """
    from phenolake.features.kernels.correlation import correlations

    objects = compartment.objects
    coefficients = correlations(
        compartment.values,
        compartment.means,
        compartment.ranks,
        objects.starts,
        _THRESHOLD_PERCENT / 100,
    )
    return coefficients.reshape(objects.count, -1)
