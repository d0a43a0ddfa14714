"""Intensity: statistics of the pixels inside and on the edge of each object.

Definitions and names as CellProfiler 4 (MeasureObjectIntensity).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName

_STATISTICS = (
    "IntegratedIntensity",
    "MeanIntensity",
    "StdIntensity",
    "MinIntensity",
    "MaxIntensity",
    "IntegratedIntensityEdge",
    "MeanIntensityEdge",
    "StdIntensityEdge",
    "MinIntensityEdge",
    "MaxIntensityEdge",
    "LowerQuartileIntensity",
    "MedianIntensity",
    "MADIntensity",
    "UpperQuartileIntensity",
    "MassDisplacement",
)


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [
        FeatureName(compartment, "Intensity", measure, (channel,))
        for channel in channels
        for measure in _STATISTICS
    ]


def measure(compartment: Compartment) -> NDArray[np.float64]:
    """Statistics of each object and channel, float64 (objects, channels * 15), image 0..1.

    Conventions: standard deviations divide by n; a quantile q lies at place n * q of the sorted
    values, counted from 0 and interpolated, as in CellProfiler (numpy uses (n - 1) * q); the
    median absolute deviation is not scaled; the edge is every pixel with a side on another object
    or the background, the image border is no edge.

    NaN: edge statistics of an object without edge pixels (it fills the image), where cp_measure
    has 0; `MassDisplacement` of an object whose intensities sum to 0.
    """
    from phenolake.features.kernels.intensity import intensity_statistics

    objects = compartment.objects
    statistics = intensity_statistics(
        compartment.values,
        compartment.ordered,
        compartment.means,
        *objects.inner_edge,
        objects.starts,
    )
    both = np.concatenate([statistics, compartment.positions[:, :, 4:]], axis=2)
    return both.reshape(objects.count, -1)
