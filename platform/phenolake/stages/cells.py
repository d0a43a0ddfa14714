"""Measure every cell of a plate: batches of `single_cell_features`, one per site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from phenolake.compute import Compute
from phenolake.errors import ImageReadError
from phenolake.images.planes import Problem
from phenolake.images.sites import Site, undecodable
from phenolake.lake import decode_labels
from phenolake.stages.light import read_corrected


@dataclass(frozen=True)
class PackedMasks:
    """One site's label images as the lake stores them."""

    shape: tuple[int, int]
    codec: str
    labels: dict[str, bytes]

    def unpacked(self) -> dict[str, Any]:
        """Label images int32 (y, x) by compartment."""
        return {
            name: decode_labels(data, self.shape, self.codec) for name, data in self.labels.items()
        }


@dataclass(frozen=True)
class MeasureSite:
    """Measures the cells of one site; a value that travels to worker processes."""

    families: str
    illumination: Path | None

    def __call__(self, task: tuple[Site, PackedMasks]) -> pa.Table | Problem:
        """One row per cell, float32 features, or the problem that kept the site from being measured."""
        from phenolake.features import measure

        site, masks = task
        try:
            image = read_corrected(site, self.illumination)
        except ImageReadError as error:
            return undecodable(site, error)
        cells = measure(image, list(site.channels), masks.unpacked(), families=self.families)
        return cells.select(
            *(pl.lit(value).alias(name) for name, value in site.keys.items()),
            pl.col("Metadata_ObjectNumber"),
            pl.exclude("Metadata_ObjectNumber").cast(pl.Float32),
        ).to_arrow()


def sites_with_masks(
    sites: Iterable[Site], mask_rows: Iterable[pa.RecordBatch]
) -> Iterator[tuple[Site, PackedMasks]]:
    """Pair each site with its masks, streamed in the order the masks are stored."""
    by_place = {(site.well, site.site): site for site in sites}
    rows = (row for batch in mask_rows for row in batch.to_pylist())
    for place, group in groupby(rows, key=lambda row: (row["Metadata_Well"], row["Metadata_Site"])):
        compartments = list(group)
        first = compartments[0]
        if place in by_place:
            yield (
                by_place[place],
                PackedMasks(
                    (first["height"], first["width"]),
                    first["codec"],
                    {row["compartment"]: row["labels"] for row in compartments},
                ),
            )


def measure_plate(
    tasks: Iterable[tuple[Site, PackedMasks]],
    measure_site: MeasureSite,
    compute: Compute,
    problems: list[Problem],
) -> Iterator[pa.Table]:
    """Cells of each site in order; problems of sites are appended to `problems`."""
    for result in compute.map(measure_site, tasks):
        if isinstance(result, Problem):
            problems.append(result)
        else:
            yield result
