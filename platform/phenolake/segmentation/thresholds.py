"""Thresholds of a plane whose background is 0: one for the field, or one for each pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Plane = NDArray[np.float32]

#: A pixel is signal from so many noise standard deviations above the background.
_NOISE_SIGMAS = 5.0
#: A local threshold stays within these parts of the global one, as in CellProfiler.
_LOCAL_RANGE = (0.7, 1.5)
#: More pixels than these say nothing new about a threshold.
_ENOUGH = 250_000


def threshold_of(image: Plane, noise: float, method: str = "automatic") -> float:
    """Value that parts signal from background; infinite where nothing stands out of the noise.

    Parameters
    ----------
    image
        float32, shape (y, x), background at 0.
    noise
        Standard deviation of the background.
    method
        `automatic`: Otsu's on the logarithm, so that bright debris does not hide dim objects;
        `otsu`, `minimum_cross_entropy` (Li), `triangle`, or `robust_background`: two standard
        deviations above the mean, both without the lowest and highest 5 %.

    References
    ----------
    Otsu, IEEE SMC 9:62 (1979); Li & Tam, Pattern Recognition Letters 19:771 (1998); Zack, Rogers
    & Latt, J Histochem Cytochem 25:741 (1977).
    """
    values = image.ravel()[:: max(1, image.size // _ENOUGH)]
    top = float(values.max(initial=0.0))
    unit = max(noise, 1e-3 * top)
    floor = _NOISE_SIGMAS * unit
    if top <= floor:
        return np.inf
    if method == "automatic":
        compressed = np.log1p(np.maximum(values, 0) / unit)
        return max(floor, float(np.expm1(otsu(compressed))) * unit)
    return max(float(noise), _named(values, method))


def local_thresholds(
    image: Plane, noise: float, method: str, correction: float, window: float
) -> Plane:
    """Threshold of each pixel, float32 (y, x): that of the windows around it, interpolated.

    Each stays within 0.7 to 1.5 times the global one, so that empty windows don't bring out noise.
    """
    overall = correction * threshold_of(image, noise, method)
    rows, columns = (max(1, round(size / window)) for size in image.shape)
    found = np.array(
        [
            [
                correction * threshold_of(part, noise, method)
                for part in np.array_split(band, columns, 1)
            ]
            for band in np.array_split(image, rows, 0)
        ],
        np.float32,
    )
    found = np.clip(found, _LOCAL_RANGE[0] * overall, _LOCAL_RANGE[1] * overall)
    centres = [
        (np.arange(size) + 0.5) * count / size - 0.5
        for size, count in zip(image.shape, (rows, columns), strict=True)
    ]
    grid = np.meshgrid(*centres, indexing="ij")
    return ndimage.map_coordinates(found, grid, order=1, mode="nearest").astype(np.float32)


def otsu(values: NDArray[np.float32], bins: int = 256) -> float:
    """Threshold that parts values into two classes of least variance (Otsu, 1979)."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return high
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts)
    total = np.cumsum(counts * centres)
    rest = weight[-1] - weight
    with np.errstate(divide="ignore", invalid="ignore"):
        between = weight * rest * (total / weight - (total[-1] - total) / rest) ** 2
    return float(centres[int(np.nanargmax(between[:-1]))])


def _named(values: NDArray[np.float32], method: str) -> float:
    if method == "robust_background":
        low, high = np.percentile(values, (5, 95))
        middle = values[(values >= low) & (values <= high)]
        return float(middle.mean() + 2 * middle.std())
    from skimage.filters import threshold_li, threshold_triangle

    known = {"otsu": otsu, "minimum_cross_entropy": threshold_li, "triangle": threshold_triangle}
    return float(known[method](values))
