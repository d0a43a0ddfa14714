"""Reader for folders whose file names say where each plane belongs.

A pattern is a regular expression with named groups; common exports are recognised without one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

from phenolake.errors import ConfigurationError, ImageReadError, WellNameError
from phenolake.identity import Well, row_number
from phenolake.images.c01 import is_c01
from phenolake.images.pixels import FileFacts, read_facts
from phenolake.images.planes import Plane, Problem
from phenolake.images.readers.base import Detection, Reader, image_files, map_files
from phenolake.images.readers.name_patterns import KNOWN_PATTERNS, WITHOUT_WELL
from phenolake.images.readers.unplaced import well_assumed

_GROUPS = frozenset({"well", "row", "column", "site", "channel", "z", "t", "plate"})
_HYPERSTACK = re.compile(r"^(channels|slices|frames)=(\d{1,7})\s*$", re.MULTILINE)
#: Longer numbers are no site, plane or time point.
_MOST = 2**31 - 1


class FilenamePattern(Reader):
    """Planes from file names below the plate's folder, by a regular expression.

    Groups: `well`, or `row` (letters or a number) and `column`; `channel`, `site`, `z`, `t`, `plate`
    if they apply. The pages of a file are channels, slices and frames if ImageJ says so, else z.
    """

    name = "filename_pattern"

    def __init__(self, pattern: str | None = None) -> None:
        self._pattern = None if pattern is None else checked_pattern(pattern)

    def detect(self, folder: Path) -> Detection | None:
        """Try the given pattern, or all known ones, on up to 500 files."""
        sample = [path.relative_to(folder).as_posix() for path in islice(_images(folder), 500)]
        if not sample:
            return None
        if self._pattern:
            return self._best({"the pattern of screen.yaml": self._pattern.pattern}, sample)
        return self._best(KNOWN_PATTERNS, sample) or self._best(WITHOUT_WELL, sample)

    def planes(self, folder: Path) -> Iterator[Plane | Problem]:
        """List the planes; a name that does not fit is a problem, never an error."""
        pattern, folder = self._pattern, folder.absolute()
        if pattern is None:
            detection = self.detect(folder)
            if detection is None:
                return
            pattern = re.compile(detection.settings["pattern"])
        groups = set(pattern.groupindex)
        has_well = bool({"well", "row"} & groups)
        unplaced, above = 0, len(str(folder)) + 1
        paths = list(_images(folder))
        for path, facts in zip(paths, map_files(_facts, paths), strict=True):
            item = self._plane(pattern, path, str(path)[above:])
            if isinstance(item, Problem) or facts is None:
                yield item
            else:
                unplaced += not has_well
                yield from _pages(item, facts, groups)
        if unplaced:
            yield well_assumed(folder, unplaced)

    def _best(self, patterns: dict[str, str], sample: list[str]) -> Detection | None:
        """The pattern that fits most names; of equals the first."""
        scored = [
            (
                sum(_matches(re.compile(pattern), name) for name in sample) / len(sample),
                title,
                pattern,
            )
            for title, pattern in patterns.items()
        ]
        share, title, pattern = max(scored, key=lambda entry: entry[0])
        return (
            Detection(self.name, share, f"file names fit {title}", {"pattern": pattern})
            if share
            else None
        )

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
            well = _well(found.get("well"), found.get("row"), found.get("column"))
            counts = {group: _count(found[group]) for group in ("site", "z", "t") if group in found}
        except (WellNameError, ValueError) as error:
            return Problem(
                "well_outside_plate" if isinstance(error, WellNameError) else "bad_number",
                "Correct the file name or `wells` in screen.yaml.",
                uri=str(path),
                well=found.get("well") or f"{found.get('row')}{found.get('column')}",
                got=str(error),
            )
        return Plane(
            path,
            well,
            site=counts.get("site", 1),
            channel=found.get("channel", "1"),
            z=counts.get("z", 0),
            t=counts.get("t", 0),
            plate=found.get("plate"),
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
        raise ConfigurationError(
            f"pattern {pattern!r} is no regular expression: {error}"
        ) from error
    groups = set(compiled.groupindex)
    if unknown := groups - _GROUPS:
        raise ConfigurationError(
            f"pattern {pattern!r}: unknown groups {sorted(unknown)}; known: {sorted(_GROUPS)}"
        )
    if "well" not in groups and not {"row", "column"} <= groups:
        raise ConfigurationError(f"pattern {pattern!r} needs a group `well`, or `row` and `column`")
    return compiled


def _images(folder: Path) -> Iterator[Path]:
    return (path for path in image_files(folder) if not is_c01(path))


def _facts(path: Path) -> FileFacts | None:
    try:
        facts = read_facts(path)
    except ImageReadError:
        return None  # the catalogue opens it again and says what is wrong
    return facts if facts.header.pages > 1 else facts.without_description()


def _pages(plane: Plane, facts: FileFacts, groups: set[str]) -> Iterator[Plane]:
    """A plane for every page of its file."""
    pages = facts.header.pages
    plane = replace(plane, facts=facts.without_description())
    if pages == 1:
        yield plane
        return
    sizes = {axis: int(size) for axis, size in _HYPERSTACK.findall(facts.description)}
    channels, slices = sizes.get("channels", 1), sizes.get("slices", 1)
    if channels * slices * sizes.get("frames", 1) != pages:
        # Nothing describes the pages: they are a stack, or a series of named stack planes.
        channels, slices = 1, 1 if "z" in groups else pages
    for index in range(pages):
        # ImageJ orders channels fastest, then slices, then frames.
        rest, channel = divmod(index, channels)
        t, z = divmod(rest, slices)
        name = plane.channel
        if channels > 1:
            name = f"{plane.channel}-{channel + 1}" if "channel" in groups else str(channel + 1)
        yield replace(plane, channel=name, z=plane.z + z, t=plane.t + t, index_in_file=index)


def _matches(pattern: re.Pattern[str], name: str) -> bool:
    return bool(pattern.fullmatch(name) or pattern.fullmatch(name.rpartition("/")[2]))


@lru_cache(maxsize=4096)
def _well(well: str | None, row: str | None, column: str | None) -> Well:
    if well is not None:
        return Well.parse(well)
    if row is None or column is None:
        return Well(1, 1)
    number = int(row) if row.isdecimal() else row_number(row)
    return Well.checked(number, int(column), f"{row}{column}")


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value <= _MOST:
        raise ValueError(f"{text} is no number of a site, plane or time point")
    return value
