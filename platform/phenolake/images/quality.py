"""Image quality of one site: focus, blur, saturation, background, debris, and a fingerprint.

`quality_reference` learns what a plate's fields have in common; `quality_flags` judges.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import pairwise

import numpy as np

from phenolake.images.quality_debris import CellAppearance, debris_fractions
from phenolake.images.quality_flags import flag_outliers
from phenolake.images.quality_reference import appearance_of
from phenolake.images.sites import Site, read_site

#: Standard deviations of the filters, in pairs of pixels; each pair is tried after the one before.
_SCALES = (1.5, 3.0, 6.0, 12.0)

__all__ = [
    "blur_width",
    "flag_outliers",
    "plane_quality",
    "power_log_log_slope",
    "site_quality",
]


def site_quality(site: Site, cells: CellAppearance | None = None) -> list[dict[str, object]]:
    """One row per channel with the measures of `image_quality`, flags left out.

    Parameters
    ----------
    site
        Field of view.
    cells
        What the plate's cells look like, to tell debris from them; default: this field's own.

    Raises
    ------
    ImageReadError
        If a plane can't be decoded.
    """
    image = read_site(site)
    fits = cells is not None and len(cells.low) == len(image)
    debris = debris_fractions(image, cells if cells and fits else appearance_of([image]))
    return [
        {**site.keys, "channel": channel, **plane_quality(plane), "debris_fraction": float(share)}
        for channel, plane, share in zip(site.channels, image, debris, strict=True)
    ]


def plane_quality(plane: np.ndarray) -> dict[str, float | int | str | None]:
    """Quality measures of one plane, float (y, x) scaled to 0..1.

    `blur_px` is the estimated blur of edges, see `blur_width`, and `blur_octave` its whole power of
    two (0: below 2 pixels, 1: 2 to 4, 2: 4 to 8, ...): the measure to rank images by, since images
    of one focus share a value instead of an order made of noise. The slope is that of log power
    against log radial frequency (natural images in focus lie near -2, blur is steeper). The focus
    score is the variance of the Laplacian over the squared mean; it depends on the cell count, so
    compare it between fields of like density only. The fingerprint is equal for equal pixels.

    References
    ----------
    Bray et al., J. Biomol. Screen. 17:266 (2012): power log-log slope for focus.
    """
    from scipy.ndimage import laplace

    mean = float(plane.mean(dtype=np.float64))
    background, median, high = (float(v) for v in np.percentile(plane, (5, 50, 99)))
    sharp = float(laplace(plane).var(dtype=np.float64))
    blur = blur_width(plane)
    return {
        "focus_score": sharp / mean**2 if mean > 0 else float("nan"),
        "power_log_log_slope": power_log_log_slope(plane),
        "blur_px": blur,
        "blur_octave": None if np.isnan(blur) else int(np.log2(max(blur, 1.0))),
        "saturated_fraction": float((plane >= 1.0).mean()),
        "background": background,
        "median_intensity": median,
        "p99_intensity": high,
        "fingerprint": blake2b(np.ascontiguousarray(plane).tobytes(), digest_size=8).hexdigest(),
    }


def blur_width(plane: np.ndarray) -> float:
    """Blur of an image's edges, pixels: the standard deviation of a Gaussian; NaN without edges.

    The variance of an edge's Laplacian of Gaussian falls as (b^2 + s^2)^(-3/2) with the blur b and
    the scale s of the filter. Two scales give b; the pair is the smallest one that the blur found
    does not exceed. Pixels are averaged in pairs first, and the share of white noise (from the MAD
    of a second difference) is taken off, so that noise does not pass for sharpness.

    References
    ----------
    Immerkaer, Comput. Vis. Image Underst. 64:300 (1996): noise from a second difference.
    """
    from scipy.ndimage import gaussian_laplace

    height, width = (edge // 2 * 2 for edge in plane.shape)
    if min(height, width) < 32:
        return float("nan")
    pixels = plane[:height, :width].astype(np.float32)
    paired = pixels.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    noise = _noise_variance(paired)
    floor = max(noise * 1e-3, 1e-14)
    found = float("nan")
    response = _edge_variance(gaussian_laplace(paired, _SCALES[0]), noise, _SCALES[0])
    for fine, coarse in pairwise(_SCALES):
        if min(paired.shape) < 16 * coarse:
            break
        wider = _edge_variance(gaussian_laplace(paired, coarse), noise, coarse)
        if wider <= floor:
            break
        ratio = (max(response, floor) / wider) ** (2 / 3)
        squared = (coarse**2 - ratio * fine**2) / (ratio - 1) if ratio > 1 else np.inf
        # Pairing pixels blurs too: a box of two pixels has a variance of 1/16 squared pairs.
        found = 2 * float(np.sqrt(np.clip(squared - 1 / 16, 0.0, (4 * coarse) ** 2)))
        if found <= 4 * coarse:  # twice the coarse scale, in pixels
            break
        response = wider
    return found


def power_log_log_slope(plane: np.ndarray) -> float:
    """Slope of log power against log radial frequency; NaN for a constant or tiny image.

    A Hann window keeps the borders from adding power of their own, and frequencies are used up to
    where power comes within four times the median of the highest third (at least eight of them):
    noise is flat there. Either would make a blurred image look sharp.
    """
    from scipy.fft import rfft2

    edge = min(plane.shape)
    if edge < 16:
        return float("nan")
    square = plane[:edge, :edge].astype(np.float32)
    window = np.hanning(edge).astype(np.float32)
    power = np.abs(rfft2((square - square.mean()) * window[:, None] * window)) ** 2
    rows = np.fft.fftfreq(edge) * edge
    columns = np.arange(power.shape[1])
    radius = np.hypot(rows[:, None], columns[None, :]).astype(np.int64).ravel()
    total = np.bincount(radius, power.ravel())
    count = np.bincount(radius)
    used = np.arange(2, edge // 2)
    mean = total[used] / count[used]
    if not (mean > 0).all():
        return float("nan")
    floor = 4 * float(np.median(mean[len(mean) * 2 // 3 :]))
    below = int(np.argmax(mean < floor)) if (mean < floor).any() else len(mean)
    fitted = slice(0, max(below, 8))
    return float(np.polyfit(np.log(used[fitted]), np.log(mean[fitted]), 1)[0])


def _noise_variance(plane: np.ndarray) -> float:
    """Variance of white noise, from the MAD of a difference that is blind to slopes."""
    from scipy.ndimage import convolve

    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    difference = convolve(plane, mask)
    return float((1.4826 * np.median(np.abs(difference - np.median(difference)))) ** 2)


def _edge_variance(response: np.ndarray, noise: float, scale: float) -> float:
    """Variance of a Laplacian of Gaussian less that of white noise through it."""
    # The integral of the squared kernel over the plane is 1 / (2 pi s^6).
    return float(response.var(dtype=np.float64)) - noise / (2 * np.pi * scale**6)
