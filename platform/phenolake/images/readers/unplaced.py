"""What to say of images that nothing places on a plate."""

from __future__ import annotations

from pathlib import Path

from phenolake.images.planes import Problem


def well_assumed(folder: Path, images: int) -> Problem:
    """The problem of images that were put in well A01 because nothing names a well."""
    return Problem(
        "well_assumed",
        "Give a `pattern` with a group `well` in screen.yaml if they belong to other wells.",
        uri=str(folder),
        well="A01",
        expected="file names or metadata that say which well an image shows",
        got=f"{images} image(s) without a well, taken as sites of A01",
    )
