"""Judge every image of a plate: rows of `image_quality`, and images that can't be decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import polars as pl

from phenolake.compute import Compute
from phenolake.errors import ImageReadError
from phenolake.images.planes import Problem
from phenolake.images.quality import site_quality
from phenolake.images.quality_debris import CellAppearance
from phenolake.images.quality_flags import unusable_sites
from phenolake.images.quality_reference import PlateReference
from phenolake.images.sites import Site, undecodable


def judge_plate(
    sites: Iterable[Site],
    compute: Compute,
    problems: list[Problem],
    reference: PlateReference | None = None,
) -> Iterator[list[dict[str, object]]]:
    """Quality rows of each site in order; unreadable sites are appended to `problems`.

    Debris is told from cells by `reference` (see `learn_plate`); without one, by each field alone.
    """
    judge = partial(_judge_site, cells=reference.cells if reference else None)
    for result in compute.map(judge, sites):
        if isinstance(result, Problem):
            problems.append(result)
        elif reference is None:
            yield [{**row, "dust_fraction": None} for row in result]
        else:
            yield [
                {**row, "dust_fraction": reference.dust.get(str(row["channel"]))} for row in result
            ]


def left_out(flagged: pl.DataFrame) -> Iterator[Problem]:
    """One problem for each site that the screen's rule leaves out of profiles."""
    for well, site, reason in unusable_sites(flagged).iter_rows():
        yield Problem(
            "unusable_site",
            "Look at the images; `quality` in screen.yaml sets the limits and what is left out.",
            well=well,
            site=site,
            expected="images within the limits of `quality`",
            got=reason,
        )


def _judge_site(site: Site, cells: CellAppearance | None) -> list[dict[str, object]] | Problem:
    try:
        return site_quality(site, cells)
    except ImageReadError as error:
        return undecodable(site, error)
