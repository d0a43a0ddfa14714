"""Sphinx's settings for the site that `make docs` builds from these pages.

The pages are Markdown that also reads well without being built: links are paths of files, and the
navigation comes from the lists of `index.md`. Nothing in the site is loaded from another host.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

from phenolake import __version__

REPOSITORY = Path(__file__).resolve().parents[1]
#: Pages of the site whose text lies elsewhere in the repository.
ELSEWHERE = {
    "start": "README.md",
    "changelog": "CHANGELOG.md",
    "results": "benchmarks/RESULTS.md",
    "kubernetes": "deploy/kubernetes/README.md",
}
_LINK = re.compile(r"\]\((?P<path>[^()\s:#]+)(?P<anchor>#[^()\s]*)?\)")

project = "Phenolake"
release = __version__
copyright = "the developers of Phenolake; MIT licence"  # Sphinx's name for it
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["pictures", "site"]

html_theme = "furo"
html_title = f"Phenolake {release}"
html_show_sphinx = False
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["wide_tables.css"]

highlight_language = "text"
myst_heading_anchors = 4
# Section titles such as "bronze" or "Models" repeat between pages, and nothing refers to them.
suppress_warnings = ["myst.header"]

default_role = "code"  # docstrings mark code with single backticks
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 88


def setup(app: Sphinx) -> None:
    """Connect the steps that adapt a page as it is read."""
    app.connect("source-read", _adapted)


def _adapted(app: Sphinx, docname: str, source: list[str]) -> None:
    """Text from elsewhere, links between pages, and the navigation below the index."""
    origin = REPOSITORY / ELSEWHERE.get(docname, f"docs/{docname}.md")
    text = origin.read_text(encoding="utf-8")
    app.env.note_dependency(str(origin))
    here = REPOSITORY / "docs" / f"{docname}.md"
    source[0] = _LINK.sub(lambda link: _to_page(link, origin, here), text)
    if Path(docname).name == "index":
        source[0] += _navigation(text)


def _to_page(link: re.Match[str], origin: Path, here: Path) -> str:
    """A link to a file as one to its page; what has no page is left for Sphinx to complain about."""
    target = (origin.parent / link["path"]).resolve()
    pages = {REPOSITORY / path: f"{name}.md" for name, path in ELSEWHERE.items()}
    if target in pages:
        target = REPOSITORY / "docs" / pages[target]
    path = Path(os.path.relpath(target, here.parent)).as_posix()
    return f"]({path}{link['anchor'] or ''})"


def _navigation(index: str) -> str:
    """A hidden table of contents for each section of an index that lists pages."""
    parts = []
    for section in index.split("\n## "):
        pages = re.findall(r"^- \[([^\]]+)\]\(([^)]+)\.md\)", section, flags=re.MULTILINE)
        caption = section.splitlines()[0]
        options = "" if caption.startswith("# ") else f":caption: {caption}\n"
        entries = "\n".join(f"{title} <{name}>" for title, name in pages)
        parts.append(f"\n```{{toctree}}\n:hidden:\n{options}\n{entries}\n```\n")
    return "".join(parts)
