"""Sites of a plate in one stream: the rows are those of one site at a time, problems in place."""

from __future__ import annotations

import numpy as np
import pytest

from phenolake.compute import LocalCompute
from phenolake.errors import ImageReadError
from phenolake.images.planes import Problem
from phenolake.images.sites import Site
from phenolake.stages import masks
from phenolake.stages.masks import SegmentSite, segment_plate
from segmentation.fields import field

ROLES = ("DNA", "GFP")


@pytest.fixture
def sites(monkeypatch):
    """Six sites; the first, third and last can't be read."""

    def read(site, illumination):
        if site.site in (1, 3, 6):
            raise ImageReadError(f"site {site.site}", "cut short")
        image = field(128, seed=site.site)[0]
        return image if site.site != 5 else np.zeros_like(image)

    monkeypatch.setattr(masks, "read_corrected", read)
    return [Site("s", None, "p", "A01", number, ROLES, ((), ())) for number in range(1, 7)]


def step(method="classical"):
    return SegmentSite(method, method, None, "DNA", "GFP", None)


def test_pooled_rows_are_those_of_each_site_alone(sites):
    pooled = list(step().pooled(sites))
    assert pooled == [step()(site) for site in sites]
    assert [isinstance(result, Problem) for result in pooled] == [
        True, False, True, False, False, True,
    ]  # fmt: skip
    assert [rows[0]["Metadata_Site"] for rows in pooled if not isinstance(rows, Problem)] == [
        2, 4, 5,
    ]  # fmt: skip


def test_no_site_and_no_readable_site_give_no_rows(sites):
    assert list(step().pooled([])) == []
    assert [type(result) for result in step().pooled(sites[:1])] == [Problem]


@pytest.mark.parametrize("on_gpu", [False, True])
def test_a_plate_gives_the_same_rows_and_problems_either_way(sites, monkeypatch, on_gpu):
    monkeypatch.setattr(SegmentSite, "shares_batches", property(lambda self: on_gpu))
    problems: list[Problem] = []
    rows = list(segment_plate(sites, step(), LocalCompute(1), problems))
    assert [row[0]["Metadata_Site"] for row in rows] == [2, 4, 5]
    assert [problem.problem for problem in problems] == [problems[0].problem] * 2 + ["no_cells"] + [
        problems[0].problem
    ]


def test_without_a_network_no_batches_are_shared():
    assert not step().shares_batches
