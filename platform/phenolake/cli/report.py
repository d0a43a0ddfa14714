"""`phenolake report`: one HTML file about a screen, and a PDF."""

from __future__ import annotations

from pathlib import Path

import typer

from phenolake.errors import ConfigurationError
from phenolake.lake import Lake
from phenolake.settings import Settings


def write_report(screen: str, out: Path | None, *, pdf: bool) -> int:
    """Write the report of a screen; returns the exit status."""
    from phenolake.reporting.contents import report_of
    from phenolake.reporting.files import browser, html_of, write_pdf

    out = out or Path(f"{screen}.html")
    if out.suffix != ".html":
        raise ConfigurationError(f"{out}: give a name that ends in .html")
    out.write_text(html_of(report_of(Lake(Settings().tables_uri), screen)), encoding="utf-8")
    typer.echo(f"{out}: {out.stat().st_size:,} bytes")
    if pdf and browser() is None:
        typer.secho("no browser found that could print a PDF; the HTML file is complete", err=True)
    elif pdf:
        write_pdf(out, out.with_suffix(".pdf"))
        typer.echo(f"{out.with_suffix('.pdf')}: {out.with_suffix('.pdf').stat().st_size:,} bytes")
    return 0
