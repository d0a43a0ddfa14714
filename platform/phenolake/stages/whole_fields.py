"""Whole fields of a screen as small images, for models that need no segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from phenolake.compute import Compute
from phenolake.errors import ImageReadError, TrainingDataError
from phenolake.identity import PlateKey
from phenolake.images.planes import Problem
from phenolake.images.quality_flags import unusable_sites
from phenolake.images.sites import Site, complete_sites, undecodable
from phenolake.lake import Lake
from phenolake.modeling.fields import shrink_field
from phenolake.screens.config import ScreenConfig
from phenolake.stages.light import illumination_file, read_corrected
from phenolake.stages.screen_crops import channel_scales
from phenolake.stages.training_sets import CELL_KEYS, WELL_KEYS, draw_labelled

FIELD_KEYS = CELL_KEYS[:-1]
_AT_ONCE = 256
_SCHEMA = dict.fromkeys(FIELD_KEYS[:-1], pl.String) | {FIELD_KEYS[-1]: pl.Int32}


@dataclass(frozen=True)
class ShrinkSite:
    """Reads and shrinks one site; a value that travels to worker processes.

    `scales`: intensity of each channel that becomes white. `size`: edge of the result in pixels.
    """

    scales: tuple[float, ...]
    illumination: Path | None
    size: int

    def __call__(self, site: Site) -> np.ndarray | Problem:
        """Return uint8 (channel, size, size), or the problem that kept the site from being read."""
        try:
            image = read_corrected(site, self.illumination)
        except ImageReadError as error:
            return undecodable(site, error)
        scale = np.array(self.scales, np.float32)[:, None, None]
        try:
            return shrink_field(np.clip(image / scale, 0, 1), self.size)
        except TrainingDataError as error:
            raise TrainingDataError(
                f"plate {site.plate}, well {site.well}, site {site.site}: {error}"
            ) from error


def plate_sites(lake: Lake, key: PlateKey, config: ScreenConfig) -> list[Site]:
    """Sites of a plate that have every channel and that the quality rule does not leave out."""
    sites = complete_sites(lake.read("raw_image_catalog", key.where), config)
    bad = unusable_sites(lake.read("image_quality", key.where))
    left_out = set(bad.select("Metadata_Well", "Metadata_Site").iter_rows())
    return [site for site in sites if (site.well, site.site) not in left_out]


def plate_fields(
    lake: Lake,
    key: PlateKey,
    sites: Sequence[Site],
    config: ScreenConfig,
    compute: Compute,
    size: int,
) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
    """Key columns and fields, uint8 (n, channel, size, size), of a plate's sites, some at a time.

    Fields are corrected for illumination and scaled as single-cell crops are; see `channel_scales`.
    Sites that can't be read are left out: `raw_image_catalog` and the masks have named them.

    Raises
    ------
    TrainingDataError
        If a field is smaller than `size`.
    """
    quality = lake.read("image_quality", key.where, columns=["channel", "p99_intensity"])
    scales = tuple(float(scale) for scale in channel_scales(quality, config.roles))
    functions = lake.read("illumination_functions", key.where)
    with illumination_file(functions, config.roles, lake) as light:
        shrink = ShrinkSite(scales, light, size)
        for start in range(0, len(sites), _AT_ONCE):
            part = sites[start : start + _AT_ONCE]
            read = [
                (site.keys, image)
                for site, image in zip(part, compute.map(shrink, part), strict=True)
                if not isinstance(image, Problem)
            ]
            if read:
                keys = pl.DataFrame([keys for keys, _ in read], schema=_SCHEMA)
                yield keys, np.stack([image for _, image in read])


def drawn_fields(
    lake: Lake,
    where: Mapping[str, str],
    wells: pl.DataFrame,
    config: ScreenConfig,
    compute: Compute,
    *,
    size: int,
    per_class: int,
    seed: int,
) -> tuple[pl.DataFrame, np.ndarray]:
    """Keys with `label`, and fields uint8 (n, channel, size, size), of up to `per_class` a class.

    Parameters
    ----------
    wells
        Metadata_Plate, Metadata_Well and `label` of labelled wells.

    Raises
    ------
    TrainingDataError
        If no field has a label, or one is smaller than `size`.
    """
    keys = _plates(lake, where)
    sites = {key: plate_sites(lake, key, config) for key in keys}
    all_keys = [site.keys for found in sites.values() for site in found]
    labelled = pl.DataFrame(all_keys, schema=_SCHEMA).join(wells, on=WELL_KEYS, how="inner")
    drawn = draw_labelled(labelled, per_class, seed, FIELD_KEYS)
    chosen = set(drawn.select("Metadata_Plate", "Metadata_Well", "Metadata_Site").iter_rows())
    parts = [
        part
        for key, found in sites.items()
        for part in plate_fields(
            lake,
            key,
            [site for site in found if (site.plate, site.well, site.site) in chosen],
            config,
            compute,
            size,
        )
    ]
    if not parts:
        raise TrainingDataError("no field of view has a label")
    rows = pl.concat([keys for keys, _ in parts]).join(
        wells, on=WELL_KEYS, how="left", maintain_order="left"
    )
    return rows, np.concatenate([fields for _, fields in parts])


def _plates(lake: Lake, where: Mapping[str, str]) -> list[PlateKey]:
    places = ["Metadata_Screen", "Metadata_Plate"]
    rows = lake.read("raw_image_catalog", where, columns=places).unique().sort(places)
    return [PlateKey(screen, plate) for screen, plate in rows.iter_rows()]
