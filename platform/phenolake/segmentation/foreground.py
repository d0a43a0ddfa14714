"""What is signal in one channel: background taken off, noise measured, threshold set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phenolake.segmentation.thresholds import local_thresholds, threshold_of

Plane = NDArray[np.float32]

#: Edge of the blocks on which the background is estimated, pixels.
_BLOCK = 8
#: Noise of a plane is at least this part of its largest value: float32 rounding after filtering.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Signal:
    """One channel ready for thresholding.

    `image` is float32 (y, x), smoothed, background at 0; `noise` is the standard deviation of its
    background; `threshold` parts signal from background, one value or one for each pixel.
    """

    image: Plane
    noise: float
    threshold: float | Plane

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Pixels above the threshold, bool (y, x)."""
        return self.image > self.threshold


def find_signal(
    plane: Plane,
    sigma: float = 1.0,
    window: int = 160,
    *,
    method: str = "automatic",
    correction: float = 1.0,
    local: float | None = None,
) -> Signal:
    """Smooth a plane, take its background off and choose a threshold.

    Parameters
    ----------
    plane
        float32, shape (y, x), finite.
    sigma
        Standard deviation of the Gaussian that smooths the plane, pixels.
    window
        Edge of the neighbourhood whose background is one value, pixels.
    method, correction, local
        Threshold, factor on it, and edge of the windows of a local one, pixels; see
        `ClassicalSettings`.
    """
    smooth = ndimage.gaussian_filter(plane, sigma, truncate=3.0)
    image = smooth - estimate_background(smooth, window)
    floor, noise = background_level(image)
    image -= np.float32(floor)
    # What is left of a constant plane is rounding; it must not count as contrast.
    noise = max(noise, _ROUNDING * float(np.abs(plane).max(initial=0.0)))
    chosen = correction * threshold_of(image, noise, method)
    if local is not None and np.isfinite(chosen):
        return Signal(image, noise, local_thresholds(image, noise, method, correction, local))
    return Signal(image, noise, chosen)


def estimate_background(plane: Plane, window: int = 160) -> Plane:
    """Slowly varying background, float32 (y, x): a low percentile of each neighbourhood.

    The 10th percentile of block means (so that noise does not pull it down) in windows that
    overlap by half, interpolated linearly between their centres. `window` is the edge of a
    neighbourhood in pixels; it must be wider than a clump of objects.
    """
    blocks = _block_means(plane)
    reach = max(1, window // _BLOCK // 2)
    centres = [_window_centres(size, reach) for size in blocks.shape]
    low = np.array(
        [
            [
                np.percentile(
                    blocks[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1], 10
                )
                for x in centres[1]
            ]
            for y in centres[0]
        ],
        np.float32,
    )
    for axis, size in enumerate(plane.shape):
        low = _interpolate(low, (centres[axis] + 0.5) * _BLOCK - 0.5, size, axis)
    return low


def background_level(image: Plane) -> tuple[float, float]:
    """Most frequent value and the standard deviation of the noise around it.

    The deviation is taken from the values below the mode alone, where no object reaches.
    """
    values = image.ravel()[:: max(1, image.size // 250_000)]
    low, high = np.percentile(values, (0.5, 60))
    if high <= low:
        return float(low), 0.0
    counts, edges = np.histogram(values, bins=64, range=(low, high))
    counts = ndimage.gaussian_filter1d(counts.astype(np.float64), 2)
    best = int(np.argmax(counts))
    mode = float(edges[best] + edges[best + 1]) / 2
    below = values[values <= mode]
    noise = float(np.sqrt(np.mean((below - mode) ** 2))) if below.size else 0.0
    return mode, noise


def _block_means(plane: Plane) -> Plane:
    rows, columns = (-(-size // _BLOCK) for size in plane.shape)
    padded = np.pad(
        plane,
        ((0, rows * _BLOCK - plane.shape[0]), (0, columns * _BLOCK - plane.shape[1])),
        mode="edge",
    )
    return padded.reshape(rows, _BLOCK, columns, _BLOCK).mean(axis=(1, 3), dtype=np.float32)


def _window_centres(size: int, reach: int) -> NDArray[np.intp]:
    """Centres of windows of `reach` blocks to either side, at most `reach` apart."""
    if 2 * reach >= size:
        return np.array([size // 2])
    count = 1 + -(-(size - 1) // reach)
    return np.linspace(0, size - 1, count).round().astype(np.intp)


def _interpolate(values: Plane, positions: NDArray, size: int, axis: int) -> Plane:
    """Linear interpolation along one axis from `positions` to 0..size-1, constant outside."""
    if positions.size == 1:
        return np.repeat(values, size, axis)
    place = np.interp(np.arange(size), positions, np.arange(positions.size))
    left = np.minimum(place.astype(np.intp), positions.size - 2)
    part = np.expand_dims((place - left).astype(np.float32), 1 - axis)
    return values.take(left, axis) * (1 - part) + values.take(left + 1, axis) * part
