"""What the fields of a plate have in common: how its cells look, and dust in the light path.

Both are learned from a sample of fields, one at a time; memory is that of one field.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from phenolake.compute import Compute
from phenolake.errors import ImageReadError
from phenolake.images.quality_debris import CellAppearance, block_brightness, sharp_contrast
from phenolake.images.quality_dust import DustMap, dust_grid, dust_share
from phenolake.images.sites import Site, read_site

#: Robust SDs of a field's contrast below which there is only noise.
_NOISE = 6.0
#: Share of bright places that a slope between two channels explains.
_EXPLAINED = 0.75


@dataclass(frozen=True)
class PlateReference:
    """What is expected of every field of a plate.

    Attributes
    ----------
    cells
        What its cells look like.
    dust
        Share of the field that dust in the light path darkens or lights, by channel; empty where
        too few fields were seen to tell.
    dust_maps
        Mean contrast over its standard error, (rows, columns), by channel.
    fields
        Fields it was learned from.
    """

    cells: CellAppearance
    dust: dict[str, float]
    dust_maps: dict[str, np.ndarray]
    fields: int


@dataclass(frozen=True)
class _Seen:
    """One field's part; all arrays have a leading axis of channels."""

    contrast: np.ndarray
    common: np.ndarray
    slopes: np.ndarray
    low: np.ndarray
    high: np.ndarray
    grid: np.ndarray


def learn_plate(
    sites: Sequence[Site], *, max_sites: int = 64, compute: Compute | None = None
) -> PlateReference | None:
    """What at most `max_sites` fields, evenly over the plate, have in common; None if none is read.

    Medians over fields, so that dirty, empty or strange fields have no say while they are few.
    """
    chosen = list(sites)
    if len(chosen) > max_sites:
        chosen = [chosen[int(i)] for i in np.linspace(0, len(chosen) - 1, max_sites)]
    results: Iterable[_Seen | None] = (
        map(_look, chosen) if compute is None else compute.map(_look, chosen)
    )
    seen: list[_Seen] = []
    dust = DustMap()
    for one in results:
        if one is None or (seen and len(one.low) != len(seen[0].low)):
            continue
        dust.add(one.grid)
        # The grid is in the sums; only a few numbers are kept per field.
        seen.append(replace(one, grid=np.empty(0)))
    if not seen:
        return None
    maps = dict(zip(chosen[0].channels, dust.maps(), strict=False))
    shares = {channel: dust_share(found) for channel, found in maps.items()}
    return PlateReference(_appearance(seen), shares, maps, len(seen))


def appearance_of(images: Iterable[np.ndarray]) -> CellAppearance:
    """How cells look in these images, each (channel, y, x)."""
    return _appearance([_see(image) for image in images])


def _look(site: Site) -> _Seen | None:
    try:
        return _see(read_site(site))
    except ImageReadError:
        return None  # the quality step reports it


def _see(image: np.ndarray) -> _Seen:
    contrast = sharp_contrast(image)
    count = len(image)
    middle = np.median(contrast, axis=(1, 2), keepdims=True)
    noise = 1.4826 * np.median(np.abs(contrast - middle), axis=(1, 2))
    common, bright = np.percentile(contrast, (90, 99), axis=(1, 2))
    bright = np.maximum(bright, _NOISE * noise)
    slopes = np.full((count, count), np.nan)
    for a in range(count):
        chosen = contrast[a] > bright[a]
        if np.count_nonzero(chosen) < 200:
            continue  # an empty field has no cells to learn from
        for b in range(count):
            if a != b:
                ratio = contrast[b][chosen] / contrast[a][chosen]
                slopes[a, b] = max(0.0, float(np.quantile(ratio, _EXPLAINED)))
    blocks = block_brightness(image)
    low, high = np.percentile(blocks, (5, 99), axis=(1, 2))
    return _Seen(bright, common, slopes, low, high, dust_grid(image))


def _appearance(seen: list[_Seen]) -> CellAppearance:
    contrast = np.maximum(np.median([one.contrast for one in seen], axis=0), 1e-9)
    common = np.maximum(np.median([one.common for one in seen], axis=0), 1e-9)
    all_slopes = np.stack([one.slopes for one in seen])
    known = ~np.isnan(all_slopes).all(axis=0)
    slopes = np.zeros(all_slopes.shape[1:])
    slopes[known] = np.nanmedian(all_slopes[:, known], axis=0)
    low = np.median([one.low for one in seen], axis=0)
    high = np.median([one.high for one in seen], axis=0)
    # A plate without cells has no bright blocks; a tenth of its background then stands for them.
    high = np.maximum(high, low + np.maximum(0.1 * low, 1e-9))
    return CellAppearance(contrast, common, slopes * contrast[:, None] / contrast, low, high)
