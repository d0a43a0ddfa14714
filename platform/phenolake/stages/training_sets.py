"""The labelled cells of a screen that models learn from, as features or as image crops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from phenolake.compute import Compute
from phenolake.features.naming import is_position
from phenolake.images.sites import Site
from phenolake.stages.cells import PackedMasks
from phenolake.stages.light import read_corrected

NEGATIVE_CONTROL = "negative control"

CELL_KEYS = [
    "Metadata_Screen",
    "Metadata_Batch",
    "Metadata_Plate",
    "Metadata_Well",
    "Metadata_Site",
    "Metadata_ObjectNumber",
]
WELL_KEYS = ["Metadata_Plate", "Metadata_Well"]


def label_wells(plate_map: pl.DataFrame, labels: str) -> pl.DataFrame:
    """The class of each labelled well: Metadata_Plate, Metadata_Well and `label`.

    `labels` is `moa` or `perturbation`; negative controls are one class of their own. A plate map
    without mechanisms falls back to perturbations. Empty and unlabelled wells are left out.
    """
    by_mechanism = labels == "moa" and plate_map["Metadata_MOA"].is_not_null().any()
    column = "Metadata_MOA" if by_mechanism else "Metadata_Perturbation"
    label = (
        pl.when(pl.col("Metadata_ControlType") == "negcon")
        .then(pl.lit(NEGATIVE_CONTROL))
        .otherwise(pl.col(column))
    )
    return (
        plate_map.filter(pl.col("Metadata_ControlType") != "empty")
        .select(*WELL_KEYS, label.alias("label"))
        .drop_nulls("label")
    )


def draw_cells(cells: pl.LazyFrame, wells: pl.DataFrame, per_class: int, seed: int) -> pl.DataFrame:
    """Keys and `label` of up to `per_class` cells of each class, the same for the same seed.

    Only key columns are read. Classes with fewer than two wells are left out: none could be held
    out to judge the model.
    """
    wells = wells.filter(pl.len().over("label") >= 2)
    keys = cells.select(CELL_KEYS).collect().join(wells, on=WELL_KEYS, how="inner")
    ticket = pl.concat_str([pl.lit(str(seed)), *CELL_KEYS], ignore_nulls=True).hash()
    return (
        keys.with_columns(ticket=ticket)
        .sort("ticket")
        .group_by("label", maintain_order=True)
        .head(per_class)
        .sort(CELL_KEYS)
        .select(*CELL_KEYS, "label")
    )


def features_of(cells: pl.LazyFrame, drawn: pl.DataFrame) -> pl.DataFrame:
    """Keys, `label` and features of the drawn cells; positions are left out, since they leak wells."""
    names = [
        name
        for name in cells.collect_schema().names()
        if not name.startswith("Metadata_") and not is_position(name)
    ]
    place = CELL_KEYS[2:]
    wanted = drawn.lazy().select(*CELL_KEYS, "label")
    rows = cells.select(*place, *names).join(wanted, on=place, how="inner")
    return rows.select(*CELL_KEYS, "label", *names).collect(engine="streaming").sort(CELL_KEYS)


def channel_scales(quality: pl.DataFrame, channels: Iterable[str]) -> np.ndarray:
    """Intensity of each channel that becomes white in a crop, float32 (channel,).

    Twice the plate's median of the images' 99th percentiles: a plate's staining is taken out, a
    cell's brightness is kept.
    """
    medians = dict(quality.group_by("channel").agg(pl.col("p99_intensity").median()).iter_rows())
    scales = [2 * float(medians.get(channel) or 0.5) for channel in channels]
    return np.maximum(np.array(scales, np.float32), 1e-4)


@dataclass(frozen=True)
class CropSite:
    """Cuts the crops of one site; a value that travels to worker processes."""

    scales: tuple[float, ...]
    illumination: Path | None
    size: int = 32

    def __call__(self, task: tuple[Site, PackedMasks]) -> tuple[Site, np.ndarray, np.ndarray]:
        """The site, its crops uint8 (n, channel, size, size) and their object numbers int32 (n,)."""
        from phenolake.modeling import cut_crops

        site, masks = task
        scale = np.array(self.scales, np.float32)[:, None, None]
        image = np.clip(read_corrected(site, self.illumination) / scale, 0, 1)
        crops = cut_crops(image, masks.unpacked()["Nuclei"], self.size)
        return site, crops.pixels, crops.objects


def crop_sites(
    tasks: Iterable[tuple[Site, PackedMasks]], crop_site: CropSite, compute: Compute
) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
    """Key columns and crops of the cells of each site, in order."""
    for site, pixels, objects in compute.map(crop_site, tasks):
        keys = pl.DataFrame({"Metadata_ObjectNumber": objects}).select(
            *(pl.lit(value, dtype=_dtype(value)).alias(name) for name, value in site.keys.items()),
            pl.col("Metadata_ObjectNumber").cast(pl.Int32),
        )
        yield keys.select(CELL_KEYS), pixels


def drawn_crops(
    site_crops: Iterable[tuple[pl.DataFrame, np.ndarray]], drawn: pl.DataFrame
) -> tuple[pl.DataFrame, np.ndarray]:
    """Keys with `label`, and crops uint8 (n, channel, size, size), of the drawn cells only."""
    frames: list[pl.DataFrame] = []
    pixels: list[np.ndarray] = []
    place = CELL_KEYS[2:]
    for keys, crops in site_crops:
        found = keys.with_row_index("row").join(
            drawn.select(*place, "label"), on=place, how="inner", maintain_order="left"
        )
        frames.append(found.select(*CELL_KEYS, "label"))
        pixels.append(crops[found["row"].to_numpy()])
    return pl.concat(frames), np.concatenate(pixels)


def _dtype(value: object) -> pl.DataType:
    return pl.Int32() if isinstance(value, int) else pl.String()
