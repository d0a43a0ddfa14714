"""Sites of a plate with pixels and masks, for the writers of image formats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from phenolake.errors import NotFoundError
from phenolake.images.sites import Site, read_site
from phenolake.images.stored import plane_at
from phenolake.lake import Lake
from phenolake.service.images import Pictures
from phenolake.service.reading import LakeReader


@dataclass(frozen=True)
class ExportedSite:
    """A site: pixels as acquired where every channel is one plane, (channel, y, x), and masks.

    A stack becomes one plane as in the analysis, uint16. Masks are int32 (y, x), by compartment.
    """

    site: Site
    image: np.ndarray
    masks: dict[str, np.ndarray]
    pixel_size_um: float | None


def sites_of(
    lake: Lake, screen: str, plate: str, wells: list[str] | None = None
) -> Iterator[ExportedSite]:
    """Sites of a plate, or of some of its wells, in order, one in memory at a time.

    Parameters
    ----------
    lake, screen, plate
        What to export; its image files must be where the catalogue says.
    wells
        Names such as `A01`; None takes every well with images.

    Raises
    ------
    NotFoundError
        If the lake has no such plate, or no image of a well.
    """
    reader = LakeReader(lake)
    pictures = Pictures(reader)
    where = reader.plate(screen, plate)
    imaged = reader.read("raw_image_catalog", where, ["Metadata_Well"])["Metadata_Well"]
    size = pictures.pixel_size_um(screen, plate)
    chosen = wells or imaged.unique().sort().to_list()
    if not chosen:
        raise NotFoundError("image", plate, f"screen {screen}")
    for well in chosen:
        for site in pictures.sites(screen, plate, well):
            masks = pictures.masks(screen, plate, well, site.site)
            yield ExportedSite(site, _pixels(site), masks, size)


def _pixels(site: Site) -> np.ndarray:
    """Integers as stored; a stack becomes one plane as in the analysis, scaled to 16 bit."""
    if all(len(stack) == 1 for stack in site.planes):
        return np.stack([plane_at(*stack[0]) for stack in site.planes])
    return np.round(np.clip(read_site(site), 0, 1) * 65535).astype(np.uint16)
