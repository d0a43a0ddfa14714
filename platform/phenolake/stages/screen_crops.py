"""Image crops of the cells of one plate, read from catalogue, masks and illumination in the lake."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from phenolake.compute import Compute
from phenolake.identity import PlateKey
from phenolake.images.sites import complete_sites
from phenolake.lake import Lake
from phenolake.screens.config import ScreenConfig
from phenolake.stages.cells import sites_with_masks
from phenolake.stages.light import illumination_file
from phenolake.stages.training_sets import CropSite, channel_scales, crop_sites


def plate_crops(
    lake: Lake,
    key: PlateKey,
    config: ScreenConfig,
    compute: Compute,
    wanted: pl.DataFrame | None = None,
) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
    """Key columns and uint8 crops (n, channel, size, size) of each site's cells, site by site.

    `wanted` keeps to the sites that its columns Metadata_Well and Metadata_Site name.
    """
    sites = complete_sites(lake.read("raw_image_catalog", key.where), config)
    if wanted is not None:
        places = set(wanted.select("Metadata_Well", "Metadata_Site").iter_rows())
        sites = [site for site in sites if (site.well, site.site) in places]
    quality = lake.read("image_quality", key.where, columns=["channel", "p99_intensity"])
    scales = tuple(float(scale) for scale in channel_scales(quality, config.roles))
    with illumination_file(lake.read("illumination_functions", key.where), config.roles) as light:
        tasks = sites_with_masks(sites, lake.batches("segmentation_masks", key.where))
        yield from crop_sites(tasks, CropSite(scales, light), compute)
