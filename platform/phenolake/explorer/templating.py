"""The templates of pages and reports; everything from data is escaped."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from phenolake.explorer import links

_REASONS = {
    "background": "background unlike the plate's",
    "empty": "nothing on it",
    "duplicate": "the same pixels as another image",
    "saturated": "saturated pixels",
}
FOLDER = Path(__file__).parent / "templates"


@lru_cache(maxsize=1)
def templates() -> Environment:
    """Environment with the page links as functions and the filter `number`."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update({n: getattr(links, n) for n in dir(links) if n.endswith("link")})
    environment.filters["number"] = _number
    environment.filters["reason"] = _reason
    return environment


def _reason(value: str | None) -> str:
    """Reasons of `image_quality` in words."""
    return ", ".join(_REASONS.get(part, part) for part in (value or "").split(", "))


def _number(value: object) -> object:
    """A value as people read it: four digits, nothing for null."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else value
