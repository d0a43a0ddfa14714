"""Costes: Manders' coefficients of two channels above automatic thresholds, in each object.

Definitions and names as CellProfiler 4 (MeasureColocalization, `Faster` search).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName

#: Steps from 0 to 1 at which thresholds of a float image lie; integers have those of their dtype.
_FLOAT_STEPS = 65535


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [
        FeatureName(compartment, "Correlation", "Costes", order)
        for pair in combinations(channels, 2)
        for order in (pair, pair[::-1])
    ]


def measure(compartment: Compartment) -> NDArray[np.float64]:
    """Coefficients of each object and channel pair, float64 (objects, pairs * 2), image in 0..1.

    The thresholds are a point on the orthogonal regression line, found by bisection, below which
    the channels stop correlating.

    NaN: fewer than three pixels or a constant channel (of all pixels above 0, or below the
    thresholds), no covariance, no threshold with a correlation of 0 or more below it, no intensity
    above the thresholds, intensities outside 0..1. Anticorrelated channels are mostly NaN.

    References
    ----------
    Costes et al. (2004), Biophysical Journal 86, 3993-4003.
    """
    from phenolake.features.kernels.costes import costes

    objects = compartment.objects
    steps = _FLOAT_STEPS if compartment.image.scale == 1.0 else int(compartment.image.scale)
    coefficients = costes(compartment.values, compartment.means, objects.starts, steps)
    return coefficients.reshape(objects.count, -1)
