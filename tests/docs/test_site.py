"""The site that `make docs` builds: no warning, every page and public name, nothing from elsewhere."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest

import phenolake

REFERENCE = (
    "lake", "segmentation", "features", "profiling", "correction", "evaluation", "dose_response",
    "modeling", "exporting",
)  # fmt: skip
#: What a browser fetches by itself when it opens a page.
FETCHED = re.compile(
    r"<(?:script|img|link|iframe)[^>]+?(?:src|href)=\"(?:https?:)?//[^\"]+|url\(['\"]?(?:https?:)?//"
)


@pytest.fixture(scope="module")
def site(repository, tmp_path_factory):
    for library in ("sphinx", "furo", "myst_parser"):
        pytest.importorskip(library)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
    built = subprocess.run(
        [*command, "-d", str(folder / "read"), str(repository / "docs"), str(folder / "html")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return folder / "html"


def test_every_page_is_in_the_site(site, repository):
    written = (repository / "docs").rglob("*.md")
    pages = [page.relative_to(repository / "docs").with_suffix(".html") for page in written]
    assert len(pages) > 25
    assert not [page for page in pages if not (site / page).is_file()]


@pytest.mark.parametrize("name", REFERENCE)
def test_public_functions_are_described(site, name):
    module = importlib.import_module(f"phenolake.{name}")
    page = (site / "api" / f"{name}.html").read_text(encoding="utf-8")
    public = [n for n in module.__all__ if callable(getattr(module, n))]
    assert public
    assert not [n for n in public if f'id="phenolake.{name}.{n}"' not in page]


def test_reference_covers_what_the_package_offers():
    inner = {"pictures", "simulation"}  # of pages and of test screens, not promised to stay
    assert {*phenolake._SUBMODULES, "lake"} - inner == set(REFERENCE)


def test_a_reader_who_is_offline_misses_nothing(site):
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(files) > 30
    fetched = {
        str(file.relative_to(site)): found
        for file in files
        if (found := FETCHED.findall(file.read_text(encoding="utf-8")))
    }
    assert not fetched


def test_search_finds_a_table_and_a_function(site):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert "well_profiles" in index
    assert "mean_average_precision" in index
