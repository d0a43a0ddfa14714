"""Objects of a plate from its masks: rows of `objects`, flagged against the whole plate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from phenolake.compute import Compute
from phenolake.errors import ImageReadError
from phenolake.images.planes import Problem
from phenolake.images.sites import Site, undecodable
from phenolake.segmentation.object_flags import ObjectLimits, flag_objects
from phenolake.segmentation.objects import describe_objects
from phenolake.stages.cells import PackedMasks
from phenolake.stages.light import read_corrected


@dataclass(frozen=True)
class DescribeSite:
    """Describes the objects of one site; a value that travels to worker processes."""

    nuclei_channel: str
    cell_channel: str | None
    illumination: Path | None

    def __call__(self, task: tuple[Site, PackedMasks]) -> pl.DataFrame | Problem:
        """Rows of the site without flags, or the problem that kept it from being read."""
        site, masks = task
        try:
            image = read_corrected(site, self.illumination)
        except ImageReadError as error:
            return undecodable(site, error)
        shown = {"Nuclei": self.nuclei_channel, "Cells": self.cell_channel or self.nuclei_channel}
        shown["Cytoplasm"] = shown["Cells"]
        labels = masks.unpacked()
        planes = {name: image[site.channels.index(shown[name])] for name in labels if name in shown}
        return describe_objects(labels, planes).select(
            *(pl.lit(value).alias(name) for name, value in site.keys.items()), pl.all()
        )


def objects_of_plate(
    tasks: Iterable[tuple[Site, PackedMasks]],
    describe_site: DescribeSite,
    limits: ObjectLimits,
    compute: Compute,
    problems: list[Problem],
) -> pl.DataFrame:
    """All objects of a plate with their flags; problems of sites are appended to `problems`.

    A plate's rows are in memory at once, since flags compare with the plate's medians: about 100
    bytes an object.
    """
    tables = []
    for result in compute.map(describe_site, tasks):
        if isinstance(result, Problem):
            problems.append(result)
        else:
            tables.append(result)
    if not tables:
        return pl.DataFrame()
    return flag_objects(pl.concat(tables, how="vertical_relaxed"), limits)
