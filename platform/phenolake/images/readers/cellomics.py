"""Reader for Cellomics folders of `.c01` images, named `..._<well>f<field>d<channel>.c01`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from phenolake.errors import ImageReadError, WellNameError
from phenolake.identity import Well
from phenolake.images.c01 import is_c01
from phenolake.images.pixels import FileFacts, read_facts
from phenolake.images.planes import Plane, Problem
from phenolake.images.readers.base import Detection, Reader, image_files, map_files
from phenolake.images.readers.unplaced import well_assumed

_NAME = re.compile(
    r"(?:.*_)?(?P<well>[A-Za-z]{1,2}\d{2})f(?P<site>\d{1,4})(?:d(?P<channel>\d{1,2}))?\.c01",
    re.IGNORECASE,
)


class Cellomics(Reader):
    """Planes of `.c01` files; fields keep their number plus one, channels are named as d0, d1, ...

    Images whose name has no well are put in well A01 as one site each, with a problem that says so.
    """

    name = "cellomics"

    def detect(self, folder: Path) -> Detection | None:
        """Look for `.c01` files."""
        sample = list(islice(image_files(folder), 500))
        share = sum(map(is_c01, sample)) / max(1, len(sample))
        return Detection(self.name, share, "Cellomics .c01 images") if share else None

    def planes(self, folder: Path) -> Iterator[Plane | Problem]:
        """List the images."""
        paths = [path for path in image_files(folder) if is_c01(path)]
        named = [_NAME.fullmatch(path.name) for path in paths]
        unplaced = 0
        for path, match, facts in zip(paths, named, map_files(_facts, paths), strict=True):
            pixel_size = facts.pixel_size_um if facts else None
            if match is None:
                unplaced += 1
                place = Well(1, 1), unplaced, "d0"
            else:
                try:
                    place = (
                        Well.parse(match["well"]),
                        int(match["site"]) + 1,
                        f"d{match['channel'] or 0}",
                    )
                except WellNameError as error:
                    yield Problem(
                        "well_outside_plate",
                        "Correct the file name.",
                        uri=str(path),
                        well=match["well"],
                        expected="a well of the plate",
                        got=str(error),
                    )
                    continue
            yield Plane(path, *place, pixel_size_um=pixel_size, instrument="Cellomics", facts=facts)
        if unplaced:
            yield well_assumed(folder, unplaced)


def _facts(path: Path) -> FileFacts | None:
    try:
        return read_facts(path)
    except ImageReadError:
        return None  # the catalogue opens it again and says what is wrong
