"""A picture of a few segmented sites of a plate, spread over its wells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from phenolake.images.sites import Site
from phenolake.lake import Lake
from phenolake.stages.cells import sites_with_masks
from phenolake.stages.light import read_corrected


def outlines_of_some(
    lake: Lake,
    where: dict[str, str],
    sites: Sequence[Site],
    illumination: Path | None,
    count: int = 4,
) -> bytes | None:
    """PNG of `count` sites with the outlines of nuclei and cells; None if no site has masks."""
    from phenolake.pictures import outlines_montage

    if not sites:
        return None
    picks = {
        (sites[i].well, sites[i].site)
        for i in np.linspace(0, len(sites) - 1, min(count, len(sites)), dtype=int)
    }
    chosen = [site for site in sites if (site.well, site.site) in picks]
    pairs = list(sites_with_masks(chosen, lake.batches("segmentation_masks", where)))
    if not pairs:
        return None
    return outlines_montage(
        [read_corrected(site, illumination) for site, _ in pairs],
        [masks.unpacked() for _, masks in pairs],
        [f"{site.well} site {site.site}" for site, _ in pairs],
    )
