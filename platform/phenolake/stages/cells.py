"""Measure every cell of a plate: batches of `single_cell_features`, one per site."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from phenolake.compute import Compute
from phenolake.errors import ImageReadError
from phenolake.images.planes import Problem
from phenolake.images.sites import Site, undecodable
from phenolake.lake import decode_labels
from phenolake.stages.light import read_corrected
from phenolake.stages.measured_sites import Measured, MeasuredSites


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

    def parts(self) -> Iterator[bytes]:
        """Everything that the label images depend on."""
        yield f"{self.shape} {self.codec}".encode()
        for name, data in self.labels.items():
            yield name.encode()
            yield data


@dataclass(frozen=True)
class MeasureSite:
    """Measures the cells of one site; a value that travels to worker processes.

    With `kept`, a site that an earlier run of the same settings measured is not measured again.
    """

    families: str
    illumination: Path | None
    pixel_size_um: float | None = None
    kept: MeasuredSites | None = None
    light_digest: bytes = b""

    @classmethod
    def prepared(
        cls,
        families: str,
        illumination: Path | None,
        pixel_size_um: float | None,
        kept: MeasuredSites,
    ) -> MeasureSite:
        """With what finished sites are known by, worked out once for the plate."""
        light = b"" if illumination is None else hashlib.sha256(illumination.read_bytes()).digest()
        return cls(families, illumination, pixel_size_um, kept, light)

    def __call__(self, task: tuple[Site, PackedMasks]) -> Measured:
        """One row per cell, float32 features, or the problem that kept the site from being measured."""
        site, masks = task
        if self.kept is None:
            return Measured(self._measured(site, masks))
        settings = f"{self.families} {self.pixel_size_um}".encode()
        key = self.kept.key(site, settings, self.light_digest, *masks.parts())
        found = self.kept.find(key)
        if found is not None:
            return Measured(found, resumed=True)
        outcome = self._measured(site, masks)
        if not isinstance(outcome, Problem):
            self.kept.keep(key, outcome)
        return Measured(outcome)

    def _measured(self, site: Site, masks: PackedMasks) -> pa.Table | Problem:
        from phenolake.features import measure

        try:
            image = read_corrected(site, self.illumination)
        except ImageReadError as error:
            return undecodable(site, error)
        cells = measure(
            image,
            list(site.channels),
            masks.unpacked(),
            families=self.families,
            pixel_size_um=self.pixel_size_um,
        )
        return cells.select(
            *(pl.lit(value).alias(name) for name, value in site.keys.items()),
            pl.col("Metadata_ObjectNumber"),
            pl.exclude("Metadata_ObjectNumber").cast(pl.Float32),
        ).to_arrow()


def pixel_size(catalog: pl.DataFrame) -> float | None:
    """Median edge of a pixel in um, if the images say."""
    known = catalog["pixel_size_um"].drop_nulls().to_numpy()
    return float(np.median(known)) if known.size else None


def pixel_bytes(catalog: pl.DataFrame) -> int:
    """Size of all planes of a catalogue once they are decoded."""
    sizes = catalog.group_by("height", "width", "dtype").len("planes").iter_rows()
    return sum(h * w * planes * np.dtype(dtype).itemsize for h, w, dtype, planes in sizes)


@dataclass
class Outcome:
    """What came of a plate's sites, complete once all of them were taken."""

    problems: list[Problem] = field(default_factory=list)
    sites: int = 0
    resumed: int = 0


def sites_with_masks(
    sites: Iterable[Site],
    mask_rows: Iterable[pa.RecordBatch],
    skipped: Collection[tuple[str, int]] = (),
) -> Iterator[tuple[Site, PackedMasks]]:
    """Pair each site with its masks, streamed in the order the masks are stored.

    `skipped` are the well and number of sites to leave out, such as unusable ones.
    """
    by_place = {
        (site.well, site.site): site for site in sites if (site.well, site.site) not in skipped
    }
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
    outcome: Outcome,
) -> Iterator[pa.Table]:
    """Cells of each site in order; `outcome` counts sites and gathers their problems."""
    for measured in compute.map(measure_site, tasks):
        outcome.sites += 1
        outcome.resumed += measured.resumed
        if isinstance(measured.outcome, Problem):
            outcome.problems.append(measured.outcome)
        else:
            yield measured.outcome
