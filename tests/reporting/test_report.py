"""The report holds what the lake says and needs no other file."""

from __future__ import annotations

import re

import pytest

from phenolake.errors import NotFoundError
from phenolake.reporting import files
from phenolake.reporting.contents import report_of
from small_lake import DRUG, SCREEN, make_lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return make_lake(tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def report(lake):
    return report_of(lake, SCREEN)


def test_hits_curves_pictures_and_versions_are_in_it(report):
    assert (report.hit_count, report.readout) == (2, "Nuclei_AreaShape_Area")
    assert [curve["flag"] for curve in report.curves] == ["ok"]
    assert {step["table_name"] for step in report.steps} >= {"well_profiles", "raw_image_catalog"}
    assert sorted(row["problem"] for row in report.problems) == ["blurred", "unreadable_image"]
    # Two controls and one well of the drug.
    assert len(report.wells) == 3
    assert report.heatmap
    assert report.curve_picture
    assert report.map


def test_html_loads_nothing_and_shows_names_as_text(report):
    html = files.html_of(report)
    sources = re.findall(r'(?:src|href)="([^"]{0,40})', html)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "<script" not in html
    assert DRUG not in html
    assert "&lt;b&gt;drug" in html


def test_unknown_screen_is_named(lake):
    with pytest.raises(NotFoundError, match="nobody"):
        report_of(lake, "nobody")


def test_pdf_without_a_browser_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "browser", lambda: None)
    with pytest.raises(files.PdfError, match="needs one of"):
        files.write_pdf(tmp_path / "a.html", tmp_path / "a.pdf")


@pytest.mark.browser
def test_pdf_is_printed_where_a_browser_is(report, tmp_path):
    if files.browser() is None:
        pytest.skip("no browser on this machine")
    html = tmp_path / "a.html"
    html.write_text(files.html_of(report), encoding="utf-8")
    files.write_pdf(html, tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes()[:5] == b"%PDF-"
