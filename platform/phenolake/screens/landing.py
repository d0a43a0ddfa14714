"""Watch the inbox: which plates are new, which came anew, which are still being copied.

A scan looks at folders' times first and at files only where something changed.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from phenolake.errors import LinkRefusedError, PhenolakeError, PlateTwiceError
from phenolake.identity import PlateKey
from phenolake.images.readers.base import entries_of
from phenolake.screens.completeness import (
    MARKS,
    Judgement,
    judge,
    list_folder,
    parse_manifest,
    wrong_checksums,
)
from phenolake.screens.discover import SCREEN_FILE, Screen

#: Files overwritten in place change no folder: so many known plates are looked at in every scan.
RECHECKED = 20
#: Seconds after which a screen's plates are listed again even if its folder looks unchanged.
RELISTED_S = 600.0


#: Path of a folder -> when it changed, nanoseconds.
Times = dict[str, int]


@dataclass
class Seen:
    """What a plate was when it was taken: its folders' times and its files."""

    folders: Times
    fingerprint: str


@dataclass
class Listed:
    """A screen's plates at the last listing (name, folder, shares a folder) and folders' times."""

    folders: Times
    at: float
    plates: list[tuple[str, str, bool]]


@dataclass
class LandingState:
    """All that is remembered between scans; travels as a short text."""

    plates: dict[str, Seen] = field(default_factory=dict)
    screens: dict[str, Listed] = field(default_factory=dict)
    turn: int = 0
    #: targets of refused links, as they are in the quarantine
    refused: dict[str, str] = field(default_factory=dict)
    #: since when a plate is on its way (seconds since 1970), and what it lacks
    waiting: dict[str, tuple[float, str]] = field(default_factory=dict)

    @classmethod
    def from_text(cls, text: str | None) -> LandingState:
        """State of a text that `to_text` wrote; an empty or unknown one starts afresh."""
        if not text:
            return cls()
        try:
            values = json.loads(zlib.decompress(base64.b64decode(text)))
            screens = {
                name: Listed(folders, at, [(n, f, s) for n, f, s in plates])
                for name, (folders, at, plates) in values["screens"].items()
            }
            plates = {key: Seen(*seen) for key, seen in values["plates"].items()}
            waiting = {k: (since, why) for k, (since, why) in values.get("waiting", {}).items()}
            return cls(plates, screens, int(values["turn"]), values.get("refused", {}), waiting)
        except (ValueError, KeyError, TypeError, zlib.error, binascii.Error):
            return cls()

    def to_text(self) -> str:
        """The state as compressed text."""
        values = {
            "plates": {k: [s.folders, s.fingerprint] for k, s in self.plates.items()},
            "screens": {k: [s.folders, s.at, s.plates] for k, s in self.screens.items()},
            "turn": self.turn,
            "refused": self.refused,
            "waiting": self.waiting,
        }
        return base64.b64encode(zlib.compress(json.dumps(values).encode(), 6)).decode()


@dataclass
class Scan:
    """What a scan found: plates to materialize, with their fingerprints; others with the reason.

    `refused` are links that are not followed, by the plate that each would be.
    """

    fresh: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    refused: dict[PlateKey, LinkRefusedError] = field(default_factory=dict)
    looked_at: int = 0


def scan_inbox(
    screens: Sequence[Screen],
    state: LandingState,
    known: Iterable[str],
    quiet_time_s: float,
    clock: Callable[[], float] = time.time,
) -> Scan:
    """Compare the screens' folders with `state`, and bring `state` up to date.

    Parameters
    ----------
    screens
        All screens; their plates are listed again only where a folder changed.
    known
        Partition keys of plates that were materialized before.
    quiet_time_s
        See `completeness.judge`.

    Returns
    -------
    Scan
        `fresh` are complete plates that are not known; `changed` are known ones whose files
        changed since they were taken, and are complete again. Two folders that claim one plate
        are one error, and neither is taken.
    """
    known = set(known)
    scan = Scan()
    places: dict[str, Path] = {}
    for screen in screens:
        try:
            _find(screen, state, places, scan, clock())
        except (PhenolakeError, OSError) as error:
            scan.errors.append(str(error))
    ordered = sorted(places)
    count = len(ordered)
    turn = {ordered[(state.turn + i) % count] for i in range(min(RECHECKED, count))}
    state.turn = (state.turn + RECHECKED) % max(1, count)
    for key in ordered:
        seen = state.plates.get(key)
        if seen is not None and key not in turn and _times(seen.folders) == seen.folders:
            continue
        scan.looked_at += 1
        _look(key, places[key], key in known, state, scan, quiet_time_s, clock())
    state.plates = {key: seen for key, seen in state.plates.items() if key in places}
    state.waiting = {
        key: (state.waiting[key][0] if key in state.waiting else clock(), why)
        for key, why in scan.waiting.items()
    }
    return scan


def _find(
    screen: Screen, state: LandingState, places: dict[str, Path], scan: Scan, now: float
) -> None:
    """Add the folder of each plate of a screen; list them anew only if a folder changed."""
    name = screen.config.name
    refused = screen.refused_links()
    scan.refused |= refused
    known = {key for key in state.refused if PlateKey.parse(key).screen == name}
    listed = state.screens.get(name)
    if (
        listed is None
        or now - listed.at >= RELISTED_S
        or {str(root) for root in screen.roots} - set(listed.folders)
        or _times(listed.folders) != listed.folders
        or known - {str(key) for key in refused}  # allowed since then
    ):
        times = _times(
            [str(root / SCREEN_FILE) for root in screen.roots] + [str(r) for r in screen.roots]
        )
        plates = [(p.key.plate, str(p.folder), p.shares_folder) for p in screen.plates()]
        taken = {folder for _, folder, _ in plates}
        # A folder without images may become a plate without a change of the screen's folder.
        waiting = [
            entry.path
            for root in screen.roots
            for entry in entries_of(root)
            if entry.is_dir() and entry.path not in taken
        ]
        listed = state.screens[name] = Listed(times | _times(waiting), now, plates)
    folders: dict[str, list[str]] = {}
    for plate, folder, _ in listed.plates:
        folders.setdefault(plate, []).append(folder)
    for plate, candidates in folders.items():
        if len(candidates) > 1:
            scan.errors.append(str(PlateTwiceError(name, plate, candidates)))
        else:
            places[str(PlateKey(name, plate))] = _marked_above(Path(candidates[0]), screen)


def _look(
    key: str,
    folder: Path,
    is_known: bool,
    state: LandingState,
    scan: Scan,
    quiet_time_s: float,
    now: float,
) -> None:
    """Compare one plate's files with what was taken."""
    listing = list_folder(folder)
    times = {str(folder / below): ns for below, ns in listing.folders}
    seen = state.plates.get(key)
    now_seen = Seen(times, listing.fingerprint)
    # Materialized before this state began: what is there now is what was taken.
    if (seen is None and is_known) or (
        seen is not None and seen.fingerprint == listing.fingerprint
    ):
        state.plates[key] = now_seen
        return
    judgement = judge(listing, quiet_time_s, now)
    if judgement.is_complete and listing.manifest.strip():
        wrong = wrong_checksums(folder, parse_manifest(listing.manifest))
        if wrong:
            judgement = Judgement(
                False, f"{wrong[0]} has another checksum than the manifest states"
            )
    if not judgement.is_complete:
        scan.waiting[key] = judgement.reason
        if seen is not None:
            # No folder has this time: the next scan looks again.
            state.plates[key] = Seen({str(folder): 0}, seen.fingerprint)
        return
    (scan.changed if is_known else scan.fresh)[key] = listing.fingerprint
    state.plates[key] = now_seen


def _marked_above(folder: Path, screen: Screen) -> Path:
    """The plate's folder, or the one above it, below the screen, that holds the mark or manifest."""
    candidates = [folder, *folder.parents]
    for candidate in candidates:
        if candidate in screen.roots and candidate != folder:
            break
        if any((candidate / mark).is_file() for mark in MARKS):
            return candidate
    return folder


def _times(folders: Iterable[str]) -> Times:
    """When folders changed; -1 for one that is not there."""
    times = {}
    for folder in folders:
        try:
            times[folder] = os.stat(folder).st_mtime_ns  # noqa: PTH116 (a Path costs more than the call)
        except OSError:
            times[folder] = -1
    return times
