"""Judge every image of a plate: rows of `image_quality`, and images that can't be decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from phenolake.compute import Compute
from phenolake.errors import ImageReadError
from phenolake.images.planes import Problem
from phenolake.images.quality import site_quality
from phenolake.images.sites import Site, undecodable


def judge_plate(
    sites: Iterable[Site], compute: Compute, problems: list[Problem]
) -> Iterator[list[dict[str, object]]]:
    """Quality rows of each site in order; unreadable sites are appended to `problems`."""
    for result in compute.map(_judge_site, sites):
        if isinstance(result, Problem):
            problems.append(result)
        else:
            yield result


def _judge_site(site: Site) -> list[dict[str, object]] | Problem:
    try:
        return site_quality(site)
    except ImageReadError as error:
        return undecodable(site, error)
