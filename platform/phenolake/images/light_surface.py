"""A smooth surface from noisy fields: as smooth as foretells fields that it was not made from."""

from __future__ import annotations

import numpy as np

#: Lowest and highest share of fields left out at each place.
_TRIM = 0.1
_FOLDS = 5
#: Standard errors by which a smoother surface must foretell better than the setting asks for.
_CLEAR = 2.0
#: Further smoothing of what a quadratic surface leaves, in units of the first; None drops it.
_WIDTHS: tuple[float | None, ...] = (0.0, 2.0, 4.0, 8.0, None)


def foretelling_surface(patterns: np.ndarray, smoothing: float) -> np.ndarray:
    """The mean of patterns, smoothed as far as cross-validation says; float64, shape (y, x).

    Parameters
    ----------
    patterns
        Shape (field, y, x); smoothed by `smoothing` already.
    smoothing
        Standard deviation of that Gaussian over the longer edge.

    Notes
    -----
    Few fields of few cells leave the cells' own places in the mean: taken for light, they would be
    printed into every image. Many fields, or uneven light on a small scale, keep their detail.
    """
    count = len(patterns)
    fold = np.arange(count) % _FOLDS
    surfaces = _candidates(_trimmed_mean(patterns), smoothing)
    if count < _FOLDS:
        return surfaces[0]
    errors = np.empty((count, len(surfaces)))
    for number in range(_FOLDS):
        foretold = _candidates(_trimmed_mean(patterns[fold != number]), smoothing)
        for index in np.flatnonzero(fold == number):
            errors[index] = [((surface - patterns[index]) ** 2).mean() for surface in foretold]
    # Fields that nothing foretells, such as dirty ones, have no say.
    errors = errors[np.argsort(errors.min(axis=1))[: count - int(_TRIM * count)]]
    gain = errors[:, :1] - errors
    clear = gain.mean(axis=0) > _CLEAR * gain.std(axis=0, ddof=1) / np.sqrt(len(gain))
    return surfaces[int(np.argmax(np.where(clear, gain.mean(axis=0), 0.0)))]


def _trimmed_mean(patterns: np.ndarray) -> np.ndarray:
    """Mean over fields at each place, without the lowest and the highest."""
    cut = int(_TRIM * len(patterns))
    ordered = np.sort(patterns, axis=0)[cut : len(patterns) - cut]
    return np.asarray(ordered.mean(axis=0, dtype=np.float64))


def _candidates(mean: np.ndarray, smoothing: float) -> list[np.ndarray]:
    """Surfaces from the most detailed to the quadratic one, and a flat one."""
    from scipy.ndimage import gaussian_filter

    quadratic = _quadratic(mean)
    rest = mean - quadratic
    surfaces = []
    for width in _WIDTHS:
        if width is None:
            surfaces.append(quadratic)
        else:
            sigma = width * smoothing * max(mean.shape)
            surfaces.append(quadratic + gaussian_filter(rest, sigma, mode="nearest"))
    return [*surfaces, np.full_like(mean, mean.mean())]


def _quadratic(mean: np.ndarray) -> np.ndarray:
    """Least-squares surface of degree two."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, edge) for edge in mean.shape), indexing="ij")
    terms = np.stack([np.ones_like(y), y, x, y * y, y * x, x * x], axis=-1).reshape(-1, 6)
    weights = np.linalg.lstsq(terms, mean.ravel(), rcond=None)[0]
    return np.asarray((terms @ weights).reshape(mean.shape))
