"""The report as an HTML file that needs nothing beside it, and as PDF where a browser is found."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from phenolake.errors import PhenolakeError
from phenolake.explorer.templating import templates
from phenolake.reporting.contents import Report

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PATIENCE_S = 120


class PdfError(PhenolakeError):
    """No browser was found, or it printed nothing."""


def html_of(report: Report) -> str:
    """Text of the HTML file."""
    return templates().get_template("report.html").render(report=report)


def browser() -> str | None:
    """Path of a browser that can print, if this machine has one."""
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


def write_pdf(html: Path, pdf: Path) -> None:
    """Print an HTML file to a PDF with the browser that is found.

    Raises
    ------
    PdfError
        If there is no browser, or it fails.
    """
    found = browser()
    if found is None:
        raise PdfError(f"a PDF needs one of {', '.join(_BROWSERS)}; {html} is complete without it")
    with tempfile.TemporaryDirectory(prefix="phenolake-") as profile:
        command = [
            found, "--headless", "--disable-gpu", "--no-sandbox", f"--user-data-dir={profile}",
            "--no-pdf-header-footer", f"--print-to-pdf={pdf.resolve()}", html.resolve().as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise PdfError(f"{found} did not print {html} within {_PATIENCE_S} s") from error
    if done.returncode or not pdf.exists():
        raise PdfError(f"{found} could not print {html}: {done.stderr.strip()[-200:]}")
