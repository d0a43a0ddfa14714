"""Texture: Haralick features of the grey levels a few pixels apart, in four directions.

Definitions and names as CellProfiler 4 (MeasureTexture).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName

#: Distances in pixels between the two pixels of a pair.
SCALES = (3,)
_LEVELS = 256
#: (y, x) of 0, 135, 90 and 45 degrees, numbered 00 to 03 in the names.
_DIRECTIONS = np.array([(0, 1), (1, 1), (1, 0), (1, -1)], np.int64)
_MEASURES = (
    "AngularSecondMoment",
    "Contrast",
    "Correlation",
    "Variance",
    "InverseDifferenceMoment",
    "SumAverage",
    "SumVariance",
    "SumEntropy",
    "Entropy",
    "DifferenceVariance",
    "DifferenceEntropy",
    "InfoMeas1",
    "InfoMeas2",
)

#: Places of the pixels in the crops of their objects, and by object the steps of each direction.
Crops = tuple[NDArray[np.int32], NDArray[np.int64]]


def names(
    compartment: str,
    channels: Sequence[str],
    scales: Sequence[int] = SCALES,
    directions: int = len(_DIRECTIONS),
) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [
        FeatureName(
            compartment,
            "Texture",
            measure,
            (channel,),
            (str(scale), f"{direction:02d}", str(_LEVELS)),
        )
        for scale in scales
        for channel in channels
        for measure in _MEASURES
        for direction in range(directions)
    ]


def measure(compartment: Compartment, scales: Sequence[int] = SCALES) -> NDArray[np.float64]:
    """Texture of each object and channel, float64 (objects, scales * channels * 52).

    Intensities 0..1 become levels 0..255 by rounding, ties to even, one mapping for every image.
    Pairs with a level 0 don't count. Entropies are in bits. `DifferenceVariance` is the variance of
    the histogram of differences, as in mahotas, not of the differences.

    NaN: all of an object and channel that has no pair in some direction (too small, or too dark).

    Within about 1e-8 of 0 `InfoMeas2` is the square root of rounding noise; compare it absolutely.

    References
    ----------
    Haralick, Shanmugam and Dinstein (1973), IEEE Trans. Systems, Man, Cybernetics 3, 610-621.
    """
    from phenolake.features.kernels.texture import crop_places

    objects = compartment.objects

    def crops(scale: int) -> Crops:
        return crop_places(
            objects.starts, objects.rows, objects.cols, objects.boxes, scale, _DIRECTIONS * scale
        )

    return haralick_features(compartment, scales, crops)


def haralick_features(
    compartment: Compartment, scales: Sequence[int], crops: Callable[[int], Crops]
) -> NDArray[np.float64]:
    """Haralick features at each scale; `crops` places the pixels for it."""
    from phenolake.features.kernels.texture import grey_levels, haralick

    objects = compartment.objects
    levels = grey_levels(compartment.values, _LEVELS - 1)
    counts = np.arange(2 * objects.areas.max(initial=0) + 1)
    entropy_terms = counts * np.log2(np.maximum(counts, 1.0))
    blocks = [
        haralick(levels, objects.starts, *crops(scale), entropy_terms).reshape(objects.count, -1)
        for scale in scales
    ]
    return np.concatenate(blocks, axis=1)
