"""Materializations link to the page that shows what they made."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from phenolake.lake import Lake
from phenolake_assets.landing import PlateRun, ScreenRun
from phenolake_resources import ScreensResource


def run_of(kind, partition: str, tmp_path, explorer_url: str):
    screens = ScreensResource(
        registry=str(tmp_path),
        inbox=str(tmp_path),
        quiet_time_s=0,
        segmentation="classical",
        explorer_url=explorer_url,
    )
    context = SimpleNamespace(partition_key=partition)
    return kind(context, Lake(str(tmp_path)), screens=screens)


@pytest.mark.parametrize(
    ("kind", "partition", "page"),
    [
        (PlateRun, "my screen__P 1", "/screens/my%20screen/plates/P%201"),
        (ScreenRun, "a#b", "/screens/a%23b"),
    ],
)
def test_run_links_to_its_plate_or_screen(tmp_path, kind, partition, page):
    assert run_of(kind, partition, tmp_path, "http://look").page == f"http://look{page}"


def test_without_an_address_there_is_no_link(tmp_path):
    assert run_of(PlateRun, "s__p", tmp_path, "").page == ""
