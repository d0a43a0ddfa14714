"""Which of a reader's planes enter the catalogue, and a problem for every one that does not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from phenolake.errors import ImageReadError
from phenolake.identity import Well
from phenolake.images.pixels import FileFacts, file_checksum, read_facts
from phenolake.images.planes import PROJECTION_Z, Plane, Problem
from phenolake.images.readers.base import map_files
from phenolake.screens.config import ScreenConfig

#: More problems of one kind than these are counted in one last problem.
MAX_OF_A_KIND = 10_000
#: More planes and problems than these are taken for damaged metadata, and the rest is left out.
MAX_ITEMS = 1_000_000
_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class CheckedPlane:
    """A plane with its role and what is known of its file."""

    plane: Plane
    role: str
    facts: FileFacts
    checksum: str | None


def role_of(acquired: str, config: ScreenConfig) -> str | None:
    """The role of a channel as acquired: mapped in `channels`, a role's own name, or a synonym."""
    if config.channels:
        return config.channels.get(acquired)
    for role in config.roles:
        if role.casefold() == acquired.casefold():
            return role
    words = acquired.casefold()
    return next((role for word, role in config.assay.synonyms.items() if _names(word, words)), None)


def _names(word: str, text: str) -> bool:
    """Whether a channel's name holds a word; two letters (ER) must stand alone."""
    return (
        word in text
        if len(word) > 2
        else re.search(rf"(?<![a-z]){word}(?![a-z])", text) is not None
    )


def plain_role(acquired: str) -> str:
    """A role name for a channel that no preset knows: its own name without other signs."""
    return (
        f"Channel{acquired}"
        if acquired.isdecimal()
        else "".join(c for c in acquired if c.isalnum()) or "Channel"
    )


def placed(
    found: Iterable[Plane | Problem], config: ScreenConfig, problems: list[Problem]
) -> list[tuple[Plane, str]]:
    """Planes with a role and a well on the plate.

    A screen that was never described keeps its unknown channels under their own names.
    """
    unknown: Counter[str] = Counter()
    roles: dict[str, str | None] = {}
    kept: list[tuple[Plane, str]] = []
    for count, item in enumerate(found):
        if count == MAX_ITEMS:
            problems.append(
                Problem(
                    "too_many_planes",
                    "Split the plate, or correct the metadata.",
                    expected=f"at most {MAX_ITEMS:,} planes of one plate",
                    got="more",
                )
            )
            break
        if isinstance(item, Problem):
            problems.append(_printable(item))
            continue
        if item.channel not in roles:
            roles[item.channel] = role_of(item.channel, config)
        role = roles[item.channel]
        if role is None:
            unknown[item.channel] += 1
            if config.names_channels:
                continue
            role = plain_role(item.channel)
        if config.wells is not None and not item.well.fits(config.wells):
            problems.append(
                Problem(
                    "well_outside_plate",
                    "Correct the file name or `wells` in screen.yaml.",
                    uri=_printable_text(str(item.path)),
                    well=item.well.name,
                    site=item.site,
                    channel=role,
                    expected=f"a well of a {config.wells}-well plate",
                    got=item.well.name,
                )
            )
        elif not _is_sound(item):
            problems.append(
                Problem(
                    "bad_file_name",
                    "Rename the file to valid UTF-8 with numbers below two thousand million.",
                    uri=_printable_text(str(item.path)),
                    well=item.well.name,
                    got=f"site {item.site}, z {item.z}, t {item.t}, channel {_printable_text(item.channel)!r}"[
                        :300
                    ],
                )
            )
        else:
            kept.append((item, role))
    problems.extend(
        Problem(
            "unknown_channel",
            "Map it to a role under `channels` in screen.yaml, or choose another preset.",
            channel=_printable_text(channel),
            expected=f"one of {', '.join(config.channels or config.roles)}",
            got=f"{_printable_text(channel)!r} in {count} planes",
        )
        for channel, count in sorted(unknown.items())
    )
    return kept


def without_doubles(
    planes: list[tuple[Plane, str]], problems: list[Problem]
) -> list[tuple[Plane, str]]:
    """The first plane, in path order, of those that claim one place."""
    first: dict[tuple[Any, ...], Plane] = {}
    kept = []
    for plane, role in planes:
        place = (plane.well.row, plane.well.column, plane.site, role, plane.z, plane.t)
        holder = first.setdefault(place, plane)
        if holder is plane:
            kept.append((plane, role))
            continue
        problems.append(
            Problem(
                "duplicate_plane",
                "Remove one of the two files; the first by name was used.",
                uri=str(plane.path),
                well=plane.well.name,
                site=plane.site,
                channel=role,
                expected=f"one file for the plane, which {holder.path.name} is",
                got=plane.path.name,
            )
        )
    return kept


def with_facts(
    planes: list[tuple[Plane, str]], problems: list[Problem], checksum: bool
) -> Iterator[CheckedPlane]:
    """Planes whose file has a readable header; each file is opened once, in the reader or here."""
    known = {plane.path: plane.facts for plane, _ in planes}
    look = partial(_file_facts, known, checksum)
    facts = dict(zip(known, map_files(look, known), strict=True))
    for plane, role in planes:
        fact, value = facts[plane.path]
        if isinstance(fact, ImageReadError) or plane.index_in_file >= fact.header.pages:
            reason = (
                fact.reason if isinstance(fact, ImageReadError) else f"{fact.header.pages} planes"
            )
            problems.append(
                _unreadable(
                    plane, role, f"a readable image with plane {plane.index_in_file}", reason
                )
            )
        else:
            yield CheckedPlane(plane, role, fact, value)


def _file_facts(
    known: dict[Path, FileFacts | None], checksum: bool, path: Path
) -> tuple[FileFacts | ImageReadError, str | None]:
    facts = known[path]
    try:
        if facts is None:
            facts = read_facts(path, checksum).without_description()
            return facts, facts.checksum
        wanted = checksum and facts.checksum is None and not path.is_dir()
        return facts, file_checksum(path) if wanted else facts.checksum
    except ImageReadError as error:
        return error, None
    except OSError as error:
        return ImageReadError(str(path), str(error)), None


def of_one_kind(planes: list[CheckedPlane], problems: list[Problem]) -> list[CheckedPlane]:
    """Planes with the shape and pixel type that most of the plate has; colour if most are."""
    kinds = Counter(_kind(p) for p in planes)
    usual = kinds.most_common(1)[0][0] if kinds else None
    if usual is not None and usual[3] != 1:
        problems.append(
            Problem(
                "colour_images",
                "Export grey images if the colours are channels.",
                expected="grey images",
                got=f"{usual[3]} samples per pixel; the luminance is used",
            )
        )
    if len(kinds) <= 1 or usual is None:
        return planes
    kept = []
    for p in planes:
        kind = _kind(p)
        if kind == usual:
            kept.append(p)
        elif kind[3] != usual[3]:
            wanted, got = f"{usual[3]} sample(s) per pixel", f"{kind[3]}"
            problems.append(_unreadable(p.plane, p.role, wanted, got))
        else:
            problems.append(
                Problem(
                    "unexpected_size" if kind[:2] != usual[:2] else "unexpected_dtype",
                    "Acquire or export the site with the settings of the others.",
                    uri=str(p.plane.path),
                    well=p.plane.well.name,
                    site=p.plane.site,
                    channel=p.role,
                    expected="{} x {} {}".format(*usual[:3]),
                    got="{} x {} {}".format(*kind[:3]),
                )
            )
    return kept


def missing_channels(planes: Sequence[CheckedPlane], roles: Sequence[str]) -> Iterator[Problem]:
    """One problem for each site and role without a plane."""
    present: dict[tuple[int, int, int], set[str]] = {}
    for p in planes:
        key = (p.plane.well.row, p.plane.well.column, p.plane.site)
        present.setdefault(key, set()).add(p.role)
    wanted = set(roles)
    for row, column, site in sorted(key for key, found in present.items() if not wanted <= found):
        found = present[row, column, site]
        for role in roles:
            if role not in found:
                yield Problem(
                    "missing_channel",
                    "Copy the missing file; the site is left out until then.",
                    well=Well(row, column).name,
                    site=site,
                    channel=role,
                    expected=f"channels {', '.join(roles)}",
                    got=f"only {', '.join(r for r in roles if r in found)}",
                )


def short_stacks(planes: Sequence[CheckedPlane]) -> Iterator[Problem]:
    """Stacks and series that lack planes which most others of their channel have.

    Planes of files with several pages are left out: such a file is whole, or it is unreadable.
    """
    stacks: dict[tuple[int, int, int, str], set[tuple[int, int]]] = {}
    for p in planes:
        if p.plane.z != PROJECTION_Z and p.facts.header.pages == 1:
            well = p.plane.well
            stack = stacks.setdefault((well.row, well.column, p.plane.site, p.role), set())
            stack.add((p.plane.z, p.plane.t))
    by_role: dict[str, Counter[tuple[int, int]]] = {}
    sites: Counter[str] = Counter()
    for (*_, role), found in stacks.items():
        sites[role] += 1
        by_role.setdefault(role, Counter()).update(found)
    usual = {
        role: {at for at, n in count.items() if 2 * n > sites[role]}
        for role, count in by_role.items()
    }
    for key in sorted(key for key, found in stacks.items() if not usual[key[-1]] <= found):
        row, column, site, role = key
        lacking = sorted(usual[role] - stacks[key])
        shown = ", ".join(f"z {z} t {t}" for z, t in lacking[:5]) + (
            ", ..." if len(lacking) > 5 else ""
        )
        yield Problem(
            "missing_plane",
            "Copy the plate again; what is there is used.",
            well=Well(row, column).name,
            site=site,
            channel=role,
            expected=f"{len(usual[role])} planes as at most other sites",
            got=f"{len(usual[role] & stacks[key])}, {len(lacking)} missing ({shown})",
        )


def bounded(problems: list[Problem]) -> list[Problem]:
    """The problems, of each kind at most `MAX_OF_A_KIND` and one that counts the rest."""
    counts: Counter[str] = Counter()
    kept = []
    for problem in problems:
        counts[problem.problem] += 1
        if counts[problem.problem] <= MAX_OF_A_KIND:
            kept.append(problem)
    return kept + [
        Problem(kind, "See the first ones.", got=f"{count - MAX_OF_A_KIND} more of this kind")
        for kind, count in counts.items()
        if count > MAX_OF_A_KIND
    ]


def _unreadable(plane: Plane, role: str, expected: str, got: str) -> Problem:
    return Problem(
        "unreadable_image",
        "Copy the file again from the microscope; the site waits for it.",
        uri=str(plane.path),
        well=plane.well.name,
        site=plane.site,
        channel=role,
        expected=expected,
        got=got,
    )


def _kind(p: CheckedPlane) -> tuple[int, int, str, int]:
    header = p.facts.header
    return header.height, header.width, header.dtype, header.samples


def _is_sound(plane: Plane) -> bool:
    """Whether its numbers fit the table and its texts are valid Unicode."""
    try:
        f"{plane.path}{plane.channel}{plane.instrument or ''}".encode()
    except UnicodeEncodeError:
        return False
    numbers = (plane.site, plane.z, plane.t, plane.index_in_file)
    return all(PROJECTION_Z <= number <= _LARGEST for number in numbers)


def _printable(problem: Problem) -> Problem:
    """The same problem in valid Unicode."""
    texts = (problem.uri, problem.channel, problem.expected, problem.got, problem.well)
    site_fits = problem.site is None or abs(problem.site) <= _LARGEST
    if site_fits and all(text is None or text == _printable_text(text) for text in texts):
        return problem
    uri, channel, expected, got, well = (text and _printable_text(text) for text in texts)
    site = problem.site if site_fits else None
    return Problem(problem.problem, problem.advice, uri, well, site, channel, expected, got)


def _printable_text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
