"""Illumination functions: how brightly each part of the field is lit, per plate and channel.

Convention: divide a raw image by its function; the function's robust minimum is 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from phenolake.errors import ImageReadError
from phenolake.images.sites import Site, read_site

METHOD = "mean of images, each clipped at its 99.5th percentile and scaled to mean 1; Gaussian; divide"


@dataclass(frozen=True)
class Illumination:
    """One channel's function, float32 (y, x), and how many images it rests on."""

    channel: str
    function: np.ndarray
    images: int

    @property
    def unevenness(self) -> float:
        """Largest over smallest value of the function."""
        return float(self.function.max() / self.function.min())


def estimate_illumination(
    sites: Sequence[Site], *, max_sites: int = 400, smoothing: float = 0.05
) -> Iterator[Illumination]:
    """The illumination function of every channel of a plate.

    Images are averaged after clipping each at its 99.5th percentile (so that debris does not
    dominate) and scaling it to mean 1 (so that no bright field does). The average is smoothed by a
    Gaussian with a standard deviation of `smoothing` times the longer edge. Memory holds one
    image and one sum per channel. Unreadable sites are left out here; the quality step reports
    them. With too few images to average out the cells (under 10) the function is flat.

    References
    ----------
    Singh et al., J. Microscopy 256:231 (2014): retrospective correction over all fields of a plate.
    """
    from scipy.ndimage import gaussian_filter

    sums: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for image, site in _readable(_spread(sites, max_sites)):
        for channel, plane in zip(site.channels, image, strict=True):
            clipped = np.minimum(plane, np.percentile(plane, 99.5)).astype(np.float64)
            if clipped.mean() <= 0:
                continue  # an empty image says nothing about the light
            scaled = clipped / clipped.mean()
            sums[channel] = sums[channel] + scaled if channel in sums else scaled
            counts[channel] = counts.get(channel, 0) + 1
    for channel, total in sums.items():
        if counts[channel] < 10:
            yield Illumination(channel, np.ones(total.shape, np.float32), counts[channel])
            continue
        smooth = gaussian_filter(total / counts[channel], smoothing * max(total.shape), mode="nearest")
        function = smooth / np.percentile(smooth, 1)
        yield Illumination(channel, np.maximum(function, 0.5).astype(np.float32), counts[channel])


def _spread(sites: Sequence[Site], most: int) -> Sequence[Site]:
    """At most so many sites, evenly over the plate."""
    if len(sites) <= most:
        return sites
    return [sites[int(i)] for i in np.linspace(0, len(sites) - 1, most)]


def _readable(sites: Iterable[Site]) -> Iterator[tuple[np.ndarray, Site]]:
    for site in sites:
        try:
            yield read_site(site), site
        except ImageReadError:
            continue
