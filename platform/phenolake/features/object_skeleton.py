"""ObjectSkeleton: branches and length of the threads that a channel shows in each object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.filters import smoothed
from phenolake.features.naming import FeatureName

_MEASURES = ("NumberBranchEnds", "NumberBranchPoints", "TotalObjectSkeletonLength")
#: Channels that show threads, by their role or stain, without case.
TUBULAR = frozenset({"actin", "agp", "microtubules", "mito", "tritc", "tubulin", "vimentin"})
_SIGMA = 1.0


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`; none without a channel that shows threads."""
    return [
        FeatureName(compartment, "ObjectSkeleton", measure, (channel,))
        for channel in channels
        if channel.lower() in TUBULAR
        for measure in _MEASURES
    ]


def measure(compartments: Sequence[Compartment]) -> list[NDArray[np.float64]]:
    """Skeletons in the objects of each compartment, float64 (objects, tubular channels * 3).

    Threads are where the channel, smoothed by 1 pixel, bends down across a ridge: minus the lowest
    eigenvalue of the Hessian over the local mean, above Otsu's threshold of its positive values in
    the field. They are thinned to one pixel and cut at the border of the object. CellProfiler's
    MeasureObjectSkeleton takes a skeleton and seeds that its user makes; without seeds there are no
    trunks, and these values are not CellProfiler's. An object without threads has 0.

    References
    ----------
    Zhang and Suen (1984), Communications of the ACM 27, 236-239 (thinning).
    """
    from phenolake.features.kernels.skeleton import skeleton_counts

    image = compartments[0].image
    tubular = [c for c, name in enumerate(image.channels) if name.lower() in TUBULAR]
    out = [np.empty((part.objects.count, len(tubular), len(_MEASURES))) for part in compartments]
    for place, c in enumerate(tubular):
        skeleton = _skeleton(image.plane(c))
        for values, part in zip(out, compartments, strict=True):
            objects = part.objects
            values[:, place] = skeleton_counts(
                skeleton, objects.labels, objects.starts, objects.rows, objects.cols
            )
    return [values.reshape(values.shape[0], -1) for values in out]


def _skeleton(plane: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Thinned threads of one channel, bool (y, x)."""
    from skimage.filters import threshold_otsu
    from skimage.morphology import skeletonize

    smooth = smoothed(plane, _SIGMA)
    wide = np.pad(smooth, 1, mode="edge")
    middle = wide[1:-1, 1:-1]
    yy = wide[:-2, 1:-1] - 2 * middle + wide[2:, 1:-1]
    xx = wide[1:-1, :-2] - 2 * middle + wide[1:-1, 2:]
    yx = (wide[:-2, :-2] - wide[:-2, 2:] - wide[2:, :-2] + wide[2:, 2:]) / 4
    lowest = (yy + xx) / 2 - np.sqrt(((yy - xx) / 2) ** 2 + yx * yx)
    ridge = np.zeros_like(smooth)
    np.divide(-lowest, smoothed(plane, 4 * _SIGMA), out=ridge, where=(lowest < 0) & (smooth > 0))
    ridge[~np.isfinite(ridge)] = 0.0
    positive = ridge[ridge > 0]
    if positive.size == 0 or positive.min() == positive.max():
        return np.zeros(plane.shape, bool)
    return np.asarray(skeletonize(ridge > threshold_otsu(positive)), bool)
