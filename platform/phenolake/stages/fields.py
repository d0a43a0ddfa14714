"""Measure every whole field of a plate: batches of `field_features`, one row per site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa

from phenolake.compute import Compute
from phenolake.errors import ImageReadError
from phenolake.images.planes import Problem
from phenolake.images.sites import Site, undecodable
from phenolake.stages.cells import PackedMasks
from phenolake.stages.light import read_corrected


@dataclass(frozen=True)
class MeasureField:
    """Measures one site as a whole; a value that travels to worker processes."""

    families: tuple[str, ...]
    illumination: Path | None

    def __call__(self, task: tuple[Site, PackedMasks]) -> pa.Table | Problem:
        """One row, float32 features, or the problem that kept the site from being measured."""
        from phenolake.features import measure_field

        site, masks = task
        try:
            image = read_corrected(site, self.illumination)
        except ImageReadError as error:
            return undecodable(site, error)
        row = measure_field(image, list(site.channels), masks.unpacked(), self.families)
        return row.select(
            *(pl.lit(value).alias(name) for name, value in site.keys.items()),
            pl.all().cast(pl.Float32),
        ).to_arrow()


def measure_fields(
    tasks: Iterable[tuple[Site, PackedMasks]],
    measure: MeasureField,
    compute: Compute,
    problems: list[Problem],
) -> Iterator[pa.Table]:
    """The row of each site in order; problems are added to the list."""
    for outcome in compute.map(measure, tasks):
        if isinstance(outcome, Problem):
            problems.append(outcome)
        else:
            yield outcome
