"""Reader for folders whose file names say where each plane belongs.

A pattern is a regular expression with named groups; common exports are recognised without one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from phenolake.errors import ConfigurationError, WellNameError
from phenolake.identity import Well, row_number
from phenolake.images.planes import Plane, Problem
from phenolake.images.readers.base import Detection, image_files

_GROUPS = frozenset({"well", "row", "column", "site", "channel", "z", "t", "plate"})

#: Patterns tried, in this order, on folders that come without one.
KNOWN_PATTERNS: dict[str, str] = {
    "Phenix/Operetta names": (
        r"r(?P<row>\d{2})c(?P<column>\d{2})f(?P<site>\d+)p(?P<z>\d+)-ch(?P<channel>\d+)(?:sk(?P<t>\d+))?"
        r"[^/]*\.(?i:tiff?)"
    ),
    "well_site_channel with keys": (
        r"(?:.*[_/])?(?P<well>[A-P]\d{2})_s(?P<site>\d+)_w(?:\d+_)?(?P<channel>[A-Za-z0-9]+)"
        r"(?:_z(?P<z>\d+))?(?:_t(?P<t>\d+))?\.(?i:tiff?|png)"
    ),
    "CellProfiler example names": (
        r"Channel(?P<channel>\d+)-\d+-(?P<row>[A-P])-(?P<column>\d{2})\.(?i:tiff?)"
    ),
    "row, column, field, dye": (
        r".*_(?P<well>[A-P]\d{2})f(?P<site>\d+)d(?P<channel>\d)\.(?i:tiff?)"
    ),
    "well, site, channel joined by underscores": (
        r"(?:.*[_/])?(?P<well>[A-Pa-p]\d{1,2})_(?P<site>\d+)_(?P<channel>[^_/]+)\.(?i:tiff?|png)"
    ),
}


class FilenamePattern:
    """Planes from file names below the plate's folder, by a regular expression.

    Groups: `well`, or `row` (letters or a number) and `column`; `channel`, `site`, `z`, `t` if they
    apply. Sites keep their number, z and t are counted from the smallest seen on the plate.
    """

    name = "filename_pattern"

    def __init__(self, pattern: str | None = None) -> None:
        self._pattern = None if pattern is None else checked_pattern(pattern)

    def detect(self, folder: Path) -> Detection | None:
        """Try the given pattern, or all known ones, on up to 500 files."""
        sample = [path.relative_to(folder).as_posix() for path in islice(image_files(folder), 500)]
        if not sample:
            return None
        candidates = {"the pattern of screen.yaml": self._pattern.pattern} if self._pattern else KNOWN_PATTERNS
        best = max(
            (
                (sum(_matches(re.compile(pattern), name) for name in sample) / len(sample), title, pattern)
                for title, pattern in candidates.items()
            ),
            key=lambda scored: scored[0],
        )
        share, title, pattern = best
        if share == 0:
            return None
        return Detection(self.name, share, f"file names fit {title}", {"pattern": pattern})

    def planes(self, folder: Path) -> Iterator[Plane | Problem]:
        """List the planes; a name that does not fit is a problem, never an error."""
        pattern = self._pattern
        if pattern is None:
            detection = self.detect(folder)
            if detection is None:
                return
            pattern = re.compile(detection.settings["pattern"])
        for path in image_files(folder):
            yield self._plane(pattern, path, path.relative_to(folder).as_posix())

    def _plane(self, pattern: re.Pattern[str], path: Path, name: str) -> Plane | Problem:
        match = pattern.fullmatch(name) or pattern.fullmatch(path.name)
        if match is None:
            return Problem(
                "unknown_file_name",
                "Rename the file, or widen `pattern` in screen.yaml.",
                uri=str(path),
                expected=f"a name like {pattern.pattern}",
                got=name,
            )
        found = {group: value for group, value in match.groupdict().items() if value is not None}
        try:
            well = _well(found)
        except WellNameError as error:
            return Problem(
                "well_outside_plate",
                "Correct the file name or `wells` in screen.yaml.",
                uri=str(path),
                well=found.get("well") or f"{found.get('row')}{found.get('column')}",
                got=str(error),
            )
        return Plane(
            path,
            well,
            site=int(found.get("site", 1)),
            channel=found.get("channel", "1"),
            z=int(found.get("z", 0)),
            t=int(found.get("t", 0)),
        )


def checked_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a user's pattern.

    Raises
    ------
    ConfigurationError
        If it is no regular expression, or lacks the groups that name a well.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(f"pattern {pattern!r} is no regular expression: {error}") from error
    groups = set(compiled.groupindex)
    if unknown := groups - _GROUPS:
        raise ConfigurationError(
            f"pattern {pattern!r}: unknown groups {sorted(unknown)}; known: {sorted(_GROUPS)}"
        )
    if "well" not in groups and not {"row", "column"} <= groups:
        raise ConfigurationError(f"pattern {pattern!r} needs a group `well`, or `row` and `column`")
    return compiled


def _matches(pattern: re.Pattern[str], name: str) -> bool:
    return bool(pattern.fullmatch(name) or pattern.fullmatch(name.rpartition("/")[2]))


def _well(found: dict[str, str]) -> Well:
    if "well" in found:
        return Well.parse(found["well"])
    row, column = found["row"], int(found["column"])
    number = int(row) if row.isdigit() else row_number(row)
    return Well.checked(number, column, f"{row}{column:02d}")
