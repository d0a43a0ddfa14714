"""SER: how much of each object looks like spots, edges and ridges, at several scales.

The eight measures of the high-content vendors' SER texture, by the formulas given here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.filters import smoothed
from phenolake.features.naming import FeatureName

_MEASURES = ("Spot", "Hole", "Ridge", "Valley", "Saddle", "Edge", "Bright", "Dark")
#: Standard deviations of the smoothing in pixels.
SCALES = (0, 1, 2, 4)


def names(
    compartment: str, channels: Sequence[str], scales: Sequence[int] = SCALES
) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    return [
        FeatureName(compartment, "SER", measure, (channel,), (str(scale),))
        for channel in channels
        for scale in scales
        for measure in _MEASURES
    ]


def measure(
    compartments: Sequence[Compartment], scales: Sequence[int] = SCALES
) -> list[NDArray[np.float64]]:
    """SER texture of the objects of each compartment, float64 (objects, channels * scales * 8).

    The channel is smoothed by a Gaussian of the scale's standard deviation. Let a <= b be the
    eigenvalues of its Hessian matrix, times scale**2 (1 for scale 0), over the mean of the 3 x 3
    pixels. `Spot` is the part of the curvature that is down in both directions, min(-a, -b);
    `Hole` is up in both, min(a, b); `Ridge` and `Valley` are what one direction bends more than
    the other, down and up; `Saddle` is min(-a, b) where they bend opposite ways; `Edge` is the
    gradient's size times the scale over the same mean. None is below 0. `Bright` is Spot + Ridge
    and `Dark` is Hole + Valley. Each is averaged over the object: a brighter exposure changes none.

    The vendors do not print their formulas, so values are not theirs.

    NaN: no pixel whose surroundings have a mean above 0.

    References
    ----------
    Lindeberg (1998), Int. J. Computer Vision 30, 79-116 (derivatives times scale).
    """
    from phenolake.features.kernels.ser import ser_means

    image = compartments[0].image
    out = [
        np.empty((part.objects.count, len(image.channels), len(scales), len(_MEASURES)))
        for part in compartments
    ]
    for c in range(len(image.channels)):
        plane = image.plane(c)
        for s, scale in enumerate(scales):
            smooth = smoothed(plane, scale)
            for values, part in zip(out, compartments, strict=True):
                places = part.objects.starts, part.objects.rows, part.objects.cols
                values[:, c, s, :6] = ser_means(smooth, *places, float(max(scale, 1)))
    for values in out:
        values[..., 6] = values[..., 0] + values[..., 2]
        values[..., 7] = values[..., 1] + values[..., 3]
    return [values.reshape(values.shape[0], -1) for values in out]
