"""Cut the single-cell crops of one plate: rows of `single_cell_crops`, one batch per site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from phenolake.compute import Compute
from phenolake.errors import ImageReadError
from phenolake.identity import PlateKey
from phenolake.images.planes import Problem
from phenolake.images.sites import Site, complete_sites, undecodable
from phenolake.lake import Lake
from phenolake.modeling.crop_sets.arrow_crops import crop_rows
from phenolake.screens.config import ScreenConfig
from phenolake.screens.crop_settings import CropSettings
from phenolake.stages.cells import PackedMasks, sites_with_masks
from phenolake.stages.light import illumination_file, read_corrected


@dataclass(frozen=True)
class CropSite:
    """Cuts the crops of one site; a value that travels to worker processes.

    `scales`: intensity of each channel of the site that becomes white.
    """

    scales: tuple[float, ...]
    illumination: Path | None
    settings: CropSettings

    def __call__(self, task: tuple[Site, PackedMasks]) -> pa.Table | Problem:
        """Rows of the site, or the problem that kept it from being read."""
        from phenolake.modeling.crops import cut_crops

        site, masks = task
        try:
            image = read_corrected(site, self.illumination)
        except ImageReadError as error:
            return undecodable(site, error)
        channels = self.settings.channels or site.channels
        chosen = [site.channels.index(channel) for channel in channels]
        scale = np.array(self.scales, np.float32)[chosen, None, None]
        labels = masks.unpacked()
        crops = cut_crops(
            np.clip(image[chosen] / scale, 0, 1),
            labels["Nuclei"],
            self.settings.size,
            border=self.settings.border,
            cells=labels.get("Cells", labels["Nuclei"]) if self.settings.mask_neighbours else None,
        )
        return crop_rows(site.keys, crops, channels)


def cut_plate(
    lake: Lake, key: PlateKey, config: ScreenConfig, compute: Compute, problems: list[Problem]
) -> Iterator[pa.Table]:
    """Rows of `single_cell_crops` of each site in order; unreadable sites go to `problems`."""
    sites = complete_sites(lake.read("raw_image_catalog", key.where), config)
    quality = lake.read("image_quality", key.where, columns=["channel", "p99_intensity"])
    scales = tuple(float(scale) for scale in channel_scales(quality, config.roles))
    functions = lake.read("illumination_functions", key.where)
    with illumination_file(functions, config.roles, lake) as light:
        tasks = sites_with_masks(sites, lake.batches("segmentation_masks", key.where))
        for cut in compute.map(CropSite(scales, light, config.crops), tasks):
            if isinstance(cut, Problem):
                problems.append(cut)
            else:
                yield cut


def channel_scales(quality: pl.DataFrame, channels: Iterable[str]) -> np.ndarray:
    """Intensity of each channel that becomes white in a crop, float32 (channel,).

    Twice the plate's median of the images' 99th percentiles: a plate's staining is taken out, a
    cell's brightness is kept.
    """
    medians = dict(quality.group_by("channel").agg(pl.col("p99_intensity").median()).iter_rows())
    scales = [2 * float(medians.get(channel) or 0.5) for channel in channels]
    return np.maximum(np.array(scales, np.float32), 1e-4)
