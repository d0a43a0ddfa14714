"""Label images of other programs (TIFF, PNG) as rows of `segmentation_masks`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from phenolake.errors import ConfigurationError, ImageReadError, WellNameError
from phenolake.identity import Well, row_number
from phenolake.images.pixels import read_plane
from phenolake.images.planes import Problem
from phenolake.images.readers.base import image_files
from phenolake.lake import CODEC, encode_labels

#: Words in a file's path -> compartment; the first that fits, in this order.
_WORDS = {"nucle": "Nuclei", "nuc": "Nuclei", "cyto": "Cytoplasm", "cell": "Cells"}

_PLACED = [
    re.compile(pattern)
    for pattern in (
        r"r(?P<row>\d{2})c(?P<column>\d{2})f(?P<site>\d+)",
        r"(?:^|[_/-])(?P<well>[A-P]\d{1,2})[_-](?:s|f|site|field)?(?P<site>\d+)(?=[_.-])",
        r"(?:^|[_/-])(?P<well>[A-P]\d{1,2})[fs](?P<site>\d+)",
        r"(?:^|[_/-])(?P<well>[A-P]\d{1,2})(?=[_./-])",
    )
]
_GROUPS = frozenset({"plate", "well", "row", "column", "site", "compartment"})


@dataclass
class PlateOfMasks:
    """One plate's label images by well, site and compartment, and faults of names."""

    plate: str
    files: dict[tuple[str, int, str], Path] = field(default_factory=dict)
    faults: list[Problem] = field(default_factory=list)

    def rows(self, problems: list[Problem]) -> Iterator[list[dict[str, object]]]:
        """One row per image, labels as in the file; unreadable ones are added to `problems`."""
        for (well, site, compartment), path in sorted(self.files.items()):
            try:
                labels = read_labels(path)
            except ImageReadError as error:
                problems.append(_refused(path, well, site, compartment, error.reason))
                continue
            if labels.max(initial=0) == 255 and len(np.unique(labels)) == 2:
                problems.append(
                    Problem(
                        "foreground_mask",
                        "Export numbered objects; touching ones count as one object here.",
                        uri=str(path), well=well, site=site, channel=compartment,
                        expected="a number per object", got="only 0 and 255",
                    )
                )  # fmt: skip
            yield [
                {
                    "Metadata_Well": well,
                    "Metadata_Site": site,
                    "compartment": compartment,
                    "labels": encode_labels(labels),
                    "codec": CODEC,
                    "height": labels.shape[0],
                    "width": labels.shape[1],
                    "object_count": int(np.count_nonzero(np.unique(labels))),
                    "method": f"imported from {path.name}",
                    "model_hash": None,
                }
            ]


def read_labels(path: Path) -> np.ndarray:
    """Labels of an image file, int32 (y, x), 0 = background, as they are in the file.

    Raises
    ------
    ImageReadError
        If the file can't be decoded, or holds anything but whole numbers from 0 to 2**31 - 1.
    """
    plane = read_plane(path)
    labels = plane.astype(np.int64)
    if (
        not np.array_equal(labels, plane)
        or labels.min(initial=0) < 0
        or labels.max(initial=0) >= 2**31
    ):
        raise ImageReadError(str(path), "holds values that are no labels (whole numbers from 0)")
    return labels.astype(np.int32)


def plates_of_masks(root: Path, plate: str, pattern: str | None = None) -> list[PlateOfMasks]:
    """Label images below `root` by plate; names that don't say well or compartment are faults.

    `pattern` is a regular expression searched in the path below `root`, with groups well (or row
    and column), and plate, site and compartment where they apply.

    Raises
    ------
    ConfigurationError
        If the pattern is no regular expression or has unknown groups.
    """
    patterns = [_checked(pattern)] if pattern else _PLACED
    plates: dict[str, PlateOfMasks] = {}
    for path in image_files(root):
        name = path.relative_to(root).as_posix()
        found = next((m.groupdict() for p in patterns if (m := p.search(name))), {})
        target = plates.setdefault(
            str(found.get("plate") or plate), PlateOfMasks(str(found.get("plate") or plate))
        )
        compartment = _compartment(found.get("compartment") or path.name) or _compartment(name)
        try:
            well = _well(found)
        except WellNameError:
            well = None
        if well is None or compartment is None:
            missing = "the well" if well is None else "the compartment (nuclei, cells or cytoplasm)"
            target.faults.append(
                Problem(
                    "unknown_file_name",
                    "Rename the file, or give --pattern with groups well, site and compartment.",
                    uri=str(path), well=well, expected=f"{missing} in the name", got=name,
                )
            )  # fmt: skip
            continue
        place = (well, int(found.get("site") or 1), compartment)
        if place in target.files:
            target.faults.append(
                _refused(
                    path, *place, f"a second mask of the site; {target.files[place].name} was used"
                )
            )
        else:
            target.files[place] = path
    return [item for _, item in sorted(plates.items())]


def _compartment(name: str) -> str | None:
    text = name.casefold()
    places = {text.rfind(word): ours for word, ours in reversed(_WORDS.items()) if word in text}
    return places[max(places)] if places else None


def _well(found: dict[str, str | None]) -> str | None:
    if well := found.get("well"):
        return Well.parse(well).name
    row, column = found.get("row"), found.get("column")
    if row is None or column is None:
        return None
    return Well.checked(int(row) if row.isdigit() else row_number(row), int(column)).name


def _checked(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(
            f"pattern {pattern!r} is no regular expression: {error}"
        ) from error
    if unknown := set(compiled.groupindex) - _GROUPS:
        raise ConfigurationError(
            f"pattern {pattern!r}: unknown groups {sorted(unknown)}; known: {sorted(_GROUPS)}"
        )
    return compiled


def _refused(path: Path, well: str, site: int, compartment: str, reason: str) -> Problem:
    return Problem(
        "unreadable_mask", "Export the label image again.",
        uri=str(path), well=well, site=site, channel=compartment,
        expected="a label image", got=reason,
    )  # fmt: skip
