"""Label images of other programs as rows of `segmentation_masks`, under one number per cell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np

from phenolake.errors import ConfigurationError, ImageReadError, WellNameError
from phenolake.identity import Well, row_number
from phenolake.images.pixels import is_image, read_plane
from phenolake.images.planes import Problem
from phenolake.images.readers.base import files_below
from phenolake.importing.cellpose_seg import read_cellpose_seg
from phenolake.importing.probability_maps import (
    ProbabilityRule,
    is_probability_map,
    labels_of_probabilities,
)
from phenolake.importing.zarr_labels import zarr_label_images
from phenolake.lake import CODEC, encode_labels
from phenolake.segmentation.label_images import areas
from phenolake.segmentation.pairing import join_compartments, parents_of

#: Words in a file's path -> compartment; the first that fits, in this order.
_WORDS = {"nucle": "Nuclei", "nuc": "Nuclei", "cyto": "Cytoplasm", "cell": "Cells"}

_PLACED = [
    re.compile(pattern)
    for pattern in (
        r"^(?P<row>[A-Z]{1,2})/(?P<column>\d{1,2})/(?P<site>\d+)/labels/(?P<compartment>[^/]+)$",
        r"r(?P<row>\d{2})c(?P<column>\d{2})f(?P<site>\d+)",
        r"(?:^|[_/-])(?P<well>[A-P]\d{1,2})[_-](?:s|f|site|field)?(?P<site>\d+)(?=[_.-])",
        r"(?:^|[_/-])(?P<well>[A-P]\d{1,2})[fs](?P<site>\d+)",
        r"(?:^|[_/-])(?P<well>[A-P]\d{1,2})(?=[_./-])",
    )
]
_GROUPS = frozenset({"plate", "well", "row", "column", "site", "compartment"})


Masks = dict[str, np.ndarray]


@dataclass
class PlateOfMasks:
    """One plate's label images by well, site and compartment, and faults of names."""

    plate: str
    files: dict[tuple[str, int, str], Path] = field(default_factory=dict)
    faults: list[Problem] = field(default_factory=list)
    rule: ProbabilityRule = field(default_factory=ProbabilityRule)

    def sites(self, problems: list[Problem]) -> Iterator[tuple[tuple[str, int], Masks]]:
        """Label images of each site by compartment, joined under one number.

        Unreadable files, numbers that had to be changed and orphans are added to `problems`.
        """
        for place, group in groupby(sorted(self.files.items()), lambda item: item[0][:2]):
            found: Masks = {}
            for (well, site, compartment), path in group:
                try:
                    labels = read_mask(path, self.rule)
                except ImageReadError as error:
                    problems.append(_refused(path, well, site, compartment, error.reason))
                    continue
                if labels.max(initial=0) == 255 and len(np.unique(labels)) == 2:
                    problems.append(_foreground_only(path, well, site, compartment))
                found[compartment] = labels
            if found:
                yield place, _joined(found, place, problems)

    def rows(self, place: tuple[str, int], masks: Masks) -> list[dict[str, object]]:
        """Rows of `segmentation_masks` of one site."""
        names = {c: p.name for (*where, c), p in self.files.items() if tuple(where) == place}
        first = next(iter(names.values()))
        return [
            {
                "Metadata_Well": place[0],
                "Metadata_Site": place[1],
                "compartment": compartment,
                "labels": encode_labels(labels),
                "codec": CODEC,
                "height": labels.shape[0],
                "width": labels.shape[1],
                "object_count": int(np.count_nonzero(np.unique(labels))),
                "method": f"imported from {names.get(compartment, first)}",
                "model_hash": None,
            }
            for compartment, labels in sorted(masks.items())
        ]


def read_mask(path: Path, rule: ProbabilityRule | None = None) -> np.ndarray:
    """Labels of one source, int32 (y, x): an image, a Cellpose file, a probability map, Zarr.

    Raises
    ------
    ImageReadError
        If the file can't be read, or holds no labels or no pixel.
    """
    if is_probability_map(path):
        labels = labels_of_probabilities(path, rule or ProbabilityRule())
    elif path.name.endswith(".npy"):
        labels = _as_labels(read_cellpose_seg(path), path)
    else:
        labels = read_labels(path)
    if labels.size == 0:
        raise ImageReadError(str(path), f"holds no pixel, its shape is {labels.shape}")
    return labels


def _joined(found: Masks, place: tuple[str, int], problems: list[Problem]) -> Masks:
    """One number per cell in all compartments; numbers that agree already stay as they are."""
    if not {"Nuclei", "Cells"} <= set(found):
        return found
    nuclei, cells = found["Nuclei"], found["Cells"]
    if nuclei.shape != cells.shape:
        problems.append(
            Problem(
                "masks_differ_in_shape", "Export both masks from the same image.",
                well=place[0], site=place[1],
                expected=f"cells of {nuclei.shape[0]} x {nuclei.shape[1]} pixels, like the nuclei",
                got=f"{cells.shape[0]} x {cells.shape[1]}; the cells were left out",
            )
        )  # fmt: skip
        return {"Nuclei": nuclei}
    home = parents_of(nuclei, cells)
    here = np.flatnonzero(areas(nuclei))
    here = here[here > 0]
    unlike = here[home[here] != here]
    if not unlike.size:
        cytoplasm = np.where(nuclei > 0, 0, cells).astype(np.int32)
        return {"Cytoplasm": cytoplasm, **found}
    joined = join_compartments(nuclei, cells)
    orphans = len(joined.nuclei_without_cell), len(joined.cells_without_nucleus)
    problems.append(
        Problem(
            "masks_renumbered",
            "Nuclei and cells were numbered apart; they were joined by overlap. Orphans stay, each "
            "in its own mask.",
            well=place[0], site=place[1],
            expected="one number for a nucleus and its cell",
            got=f"{unlike.size} of {here.size} nuclei with another number; {orphans[0]} nuclei "
            f"without a cell, {orphans[1]} cells without a nucleus, "
            f"{len(joined.cells_with_nuclei)} cells with several nuclei",
        )
    )  # fmt: skip
    return joined.masks


def read_labels(path: Path) -> np.ndarray:
    """Labels of an image file, int32 (y, x), 0 = background, as they are in the file.

    Raises
    ------
    ImageReadError
        If the file can't be decoded, or holds anything but whole numbers from 0 to 2**31 - 1.
    """
    return _as_labels(read_plane(path), path)


def _as_labels(plane: np.ndarray, path: Path) -> np.ndarray:
    # NaN and infinite values become some integer, which differs from them.
    with np.errstate(invalid="ignore"):
        labels = plane.astype(np.int64)
    if (
        not np.array_equal(labels, plane)
        or labels.min(initial=0) < 0
        or labels.max(initial=0) >= 2**31
    ):
        raise ImageReadError(str(path), "holds values that are no labels (whole numbers from 0)")
    return labels.astype(np.int32)


def mask_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Name and place of everything below `root` that may hold masks, in path order.

    Images, `_seg.npy` of Cellpose, probability maps, and label images inside OME-Zarr.
    """
    if root.is_file():
        yield root.name, root
        return
    in_zarr = list(zarr_label_images(root))
    stores = {array for _, array in in_zarr}
    yield from in_zarr
    for path in files_below(root, _may_hold_masks):
        if not any(store in path.parents for store in stores):
            yield path.relative_to(root).as_posix(), path


def _may_hold_masks(path: Path) -> bool:
    return is_image(path) or path.name.endswith("_seg.npy") or is_probability_map(path)


def plates_of_masks(
    root: Path, plate: str, pattern: str | None = None, rule: ProbabilityRule | None = None
) -> list[PlateOfMasks]:
    """Label images below `root` by plate; names that don't say well or compartment are faults.

    `pattern` is a regular expression searched in the path below `root`, with groups well (or row
    and column), and plate, site and compartment where they apply. `rule` turns probability maps
    into objects.

    Raises
    ------
    ConfigurationError
        If the pattern is no regular expression or has unknown groups.
    """
    patterns = [_checked(pattern)] if pattern else _PLACED
    plates: dict[str, PlateOfMasks] = {}
    for name, path in mask_files(root):
        found = next((m.groupdict() for p in patterns if (m := p.search(name))), {})
        target = plates.setdefault(
            str(found.get("plate") or plate),
            PlateOfMasks(str(found.get("plate") or plate), rule=rule or ProbabilityRule()),
        )
        last = found.get("compartment") or name.rsplit("/", 1)[-1]
        compartment = _compartment(last) or _compartment(name)
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


def _foreground_only(path: Path, well: str, site: int, compartment: str) -> Problem:
    return Problem(
        "foreground_mask", "Export numbered objects; touching ones count as one object here.",
        uri=str(path), well=well, site=site, channel=compartment,
        expected="a number per object", got="only 0 and 255",
    )  # fmt: skip


def _refused(path: Path, well: str, site: int, compartment: str, reason: str) -> Problem:
    return Problem(
        "unreadable_mask", "Export the label image again.",
        uri=str(path), well=well, site=site, channel=compartment,
        expected="a label image", got=reason,
    )  # fmt: skip
