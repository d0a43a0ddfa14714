"""Illumination functions: how brightly each part of the field is lit, per plate and channel.

`divide` (default): a raw image is divided by its function, whose robust minimum is 1. `subtract`:
the function is the background pattern in the image's units and is taken off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from phenolake.compute import Compute
from phenolake.errors import ImageReadError
from phenolake.images.correction import Convention
from phenolake.images.light_surface import foretelling_surface
from phenolake.images.sites import Site, read_site

METHOD = (
    "fields as block means, clipped at the 99.5th percentile, scaled to mean 1 and smoothed by a "
    "Gaussian; mean over fields without the lowest and highest tenth at each place; smoothed as "
    "foretells other fields best; divide"
)
SUBTRACT_METHOD = (
    "fields as the 5th percentile of blocks, smoothed by a Gaussian; mean over fields without the "
    "lowest and highest tenth at each place; smoothed as foretells other fields best; subtract"
)

#: Blocks along the longer edge; background shows between cells in large blocks only.
_BLOCKS: dict[Convention, int] = {"divide": 64, "subtract": 16}
#: With fewer images the cells don't average out.
_FEWEST_IMAGES = 10


@dataclass(frozen=True)
class Illumination:
    """One channel's function, float32 (y, x), and how many images it rests on.

    `background` is what the darkest fields hold everywhere, 0..1: an upper bound of the camera's
    offset.
    """

    channel: str
    function: np.ndarray
    images: int
    background: float = 0.0
    convention: Convention = "divide"

    @property
    def unevenness(self) -> float:
        """Largest over smallest value of the function."""
        return float(self.function.max() / max(float(self.function.min()), 1e-9))

    @property
    def method(self) -> str:
        """How it was estimated."""
        return METHOD if self.convention == "divide" else SUBTRACT_METHOD


def estimate_illumination(
    sites: Sequence[Site],
    *,
    max_sites: int = 400,
    smoothing: float = 0.05,
    convention: Literal["divide", "subtract"] = "divide",
    compute: Compute | None = None,
) -> Iterator[Illumination]:
    """The illumination function of every channel of a plate.

    Each field becomes a grid of at most 64 blocks along its longer edge (`subtract`: 16), smoothed
    by a Gaussian with a standard deviation of `smoothing` times the longer edge; places are then
    averaged over fields without the lowest and highest tenth, so that debris in a few fields has no
    say. What is left of single cells is smoothed further: the mean becomes a quadratic surface plus
    its rest, smoothed 1, 2, 4 or 8 times as wide or dropped, or else flat, whichever foretells the
    fields it was not made from best (five folds). Fields with less than
    a fifth of the plate's median signal are left out as empty. Memory holds one image and at most
    `max_sites` grids per channel, however many fields there are. Unreadable sites are left out
    here; the quality step reports them. With too few images to average out the cells (under 10)
    the function is flat.

    References
    ----------
    Singh et al., J. Microscopy 256:231 (2014): retrospective correction over all fields of a plate.
    """
    fields: dict[str, list[_Field]] = {}
    shapes: dict[str, tuple[int, int]] = {}
    chosen = _spread(sites, max_sites)
    work = partial(_site_fields, smoothing=smoothing, convention=convention)
    results: Iterable[list[tuple[str, _Field]]] = (
        map(work, chosen) if compute is None else compute.map(work, chosen)
    )
    for result in results:
        for channel, found in result:
            # A field of another size can't be averaged; the catalogue reports it.
            if shapes.setdefault(channel, found.shape) == found.shape:
                fields.setdefault(channel, []).append(found)
    for channel, found_fields in fields.items():
        yield _function(channel, _lit(found_fields), convention, smoothing)


@dataclass(frozen=True)
class _Field:
    """What one image says about the light."""

    shape: tuple[int, int]
    pattern: np.ndarray
    low: float
    signal: float


def _site_fields(site: Site, smoothing: float, convention: Convention) -> list[tuple[str, _Field]]:
    """One field per channel; none for a site that can't be read, or a black image."""
    from scipy.ndimage import gaussian_filter

    try:
        image = read_site(site)
    except ImageReadError:
        return []
    fields = []
    for channel, plane in zip(site.channels, image, strict=True):
        low, dark, high, bright = (float(v) for v in np.percentile(plane, (1, 5, 99, 99.5)))
        blocks = _blocks(np.minimum(plane, bright), _BLOCKS[convention])
        grid = (
            blocks.mean(axis=(1, 3), dtype=np.float64)
            if convention == "divide"
            else np.percentile(blocks, 5, axis=(1, 3))
        )
        if grid.mean() <= 0:
            continue  # a black image says nothing about the light
        scaled = grid / grid.mean() if convention == "divide" else grid
        smooth = gaussian_filter(scaled, smoothing * max(grid.shape), mode="nearest")
        field = _Field(plane.shape, smooth.astype(np.float32), low, high - dark)
        fields.append((channel, field))
    return fields


def _blocks(plane: np.ndarray, most: int) -> np.ndarray:
    """A plane as (rows, step, columns, step), its far edges repeated to fill the last blocks."""
    step = -(-max(plane.shape) // most)
    rest = [(-edge) % step for edge in plane.shape]
    padded = np.pad(plane, ((0, rest[0]), (0, rest[1])), mode="edge") if any(rest) else plane
    return padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)


def _lit(fields: list[_Field]) -> list[_Field]:
    """Fields that are not empty, unless too few are left."""
    median = float(np.median([field.signal for field in fields]))
    lit = [field for field in fields if field.signal >= 0.2 * median]
    return lit if len(lit) >= _FEWEST_IMAGES else fields


def _function(
    channel: str, fields: list[_Field], convention: Convention, smoothing: float
) -> Illumination:
    shape, count = fields[0].shape, len(fields)
    # The darkest twentieth guards against a few dead fields.
    background = float(np.quantile([field.low for field in fields], 0.05))
    if count < _FEWEST_IMAGES:
        flat = np.full(shape, 1.0 if convention == "divide" else 0.0, np.float32)
        return Illumination(channel, flat, count, background, convention)
    grid = foretelling_surface(np.stack([field.pattern for field in fields]), smoothing)
    function = _enlarged(grid, shape, _BLOCKS[convention])
    if convention == "divide":
        function = np.maximum(function / np.percentile(function, 1), 0.5)
    return Illumination(channel, function.astype(np.float32), count, background, convention)


def _enlarged(grid: np.ndarray, shape: tuple[int, int], most: int) -> np.ndarray:
    """A grid of block centres at every pixel, by linear interpolation."""
    from scipy.ndimage import map_coordinates

    step = -(-max(shape) // most)
    rows, columns = ((np.arange(edge) + 0.5) / step - 0.5 for edge in shape)
    places = np.meshgrid(rows, columns, indexing="ij")
    return np.asarray(map_coordinates(grid, places, order=1, mode="nearest"))


def _spread(sites: Sequence[Site], most: int) -> Sequence[Site]:
    """At most so many sites, evenly over the plate."""
    if len(sites) <= most:
        return sites
    return [sites[int(i)] for i in np.linspace(0, len(sites) - 1, most)]
