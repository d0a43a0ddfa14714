"""Inboxes on an object store: list `<inbox>/<screen>/<plate>/...`, and fetch what is complete.

Images are read from files, so a complete plate is copied to the local inbox first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from phenolake.errors import ConfigurationError
from phenolake.identity import PlateKey
from phenolake.screens.completeness import MARKS, Entry, Judgement, Listing, judge
from phenolake.screens.discover import plate_name

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

_FINGERPRINT = "_FETCHED"


@dataclass(frozen=True)
class StorePlate:
    """One plate of an object-store inbox; `prefix` is where its objects are."""

    key: PlateKey
    prefix: str
    listing: Listing

    def judged(self, quiet_time_s: float, now: float | None = None) -> Judgement:
        """Whether the upload is finished; see `completeness.judge`."""
        return judge(self.listing, quiet_time_s, time.time() if now is None else now)


def store_plates(uri: str, options: Mapping[str, Any] | None = None) -> Iterator[StorePlate]:
    """Plates of an inbox such as `s3://bucket/inbox`, from one listing of its objects.

    Raises
    ------
    ConfigurationError
        If the URI's store can't be reached or needs a package that is not installed.
    """
    filesystem, root = _opened(uri, options)
    try:
        objects = filesystem.find(root, detail=True)
    except Exception as error:  # every store has errors of its own
        raise ConfigurationError(f"inbox {uri}: can't be listed: {error}") from error
    plates: dict[tuple[str, str], list[Entry]] = {}
    for path, facts in objects.items():
        below = PurePosixPath(path).relative_to(PurePosixPath(root)).parts
        if len(below) >= 3 and not any(part in ("..", ".") for part in below):
            entry = Entry("/".join(below[2:]), int(facts.get("size") or 0), _changed(facts))
            plates.setdefault((below[0], below[1]), []).append(entry)
    for (screen, plate), entries in sorted(plates.items()):
        prefix = f"{root}/{screen}/{plate}"
        mark = next((entry for entry in entries if entry.name in MARKS), None)
        text = ""
        if mark is not None and mark.size:
            text = filesystem.cat_file(f"{prefix}/{mark.name}").decode("utf-8", "replace")
        files = tuple(entry for entry in entries if entry.name not in MARKS)
        listing = Listing(files, (), mark.name if mark else None, text)
        yield StorePlate(PlateKey(plate_name(screen), plate_name(plate)), prefix, listing)


def fetch_plates(
    uri: str,
    inbox: Path,
    quiet_time_s: float,
    options: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.time,
) -> dict[str, str]:
    """Copy complete plates, new or changed, to a local inbox; returns what happened to each.

    A file is written under a `.part` name and renamed, and the mark comes last: the local inbox
    never shows half a plate. Files of the screen itself (`screen.yaml`, plate map) come along.
    """
    filesystem, root = _opened(uri, options)
    outcome: dict[str, str] = {}
    for plate in store_plates(uri, options):
        judgement = plate.judged(quiet_time_s, clock())
        if not judgement.is_complete:
            outcome[str(plate.key)] = judgement.reason
            continue
        screen = inbox / plate.key.screen
        folder = screen / plate.key.plate
        done = folder / _FINGERPRINT
        if done.exists() and done.read_text(encoding="utf-8") == plate.listing.fingerprint:
            outcome[str(plate.key)] = "up to date"
            continue
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKS[0]).unlink(missing_ok=True)
        _fetch_screen_files(filesystem, f"{root}/{PurePosixPath(plate.prefix).parts[-2]}", screen)
        for entry in plate.listing.files:
            _fetch(filesystem, f"{plate.prefix}/{entry.name}", folder, entry.name)
        done.write_text(plate.listing.fingerprint, encoding="utf-8")
        (folder / MARKS[0]).touch()
        outcome[str(plate.key)] = "fetched"
    return outcome


def _fetch_screen_files(filesystem: AbstractFileSystem, prefix: str, screen: Path) -> None:
    for facts in filesystem.ls(prefix, detail=True):
        name = PurePosixPath(facts["name"]).name
        if facts["type"] == "file" and name:
            _fetch(filesystem, facts["name"], screen, name)


def _fetch(filesystem: AbstractFileSystem, source: str, folder: Path, name: str) -> None:
    target = folder / name
    if not target.resolve().is_relative_to(folder.resolve()):
        raise ConfigurationError(f"{source!r} leaves the plate's folder {folder}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    filesystem.get_file(source, str(part))
    part.replace(target)


def _opened(uri: str, options: Mapping[str, Any] | None) -> tuple[AbstractFileSystem, str]:
    import fsspec

    try:
        filesystem, root = fsspec.core.url_to_fs(uri, **(options or {}))
    except (ImportError, ValueError) as error:
        raise ConfigurationError(f"inbox {uri}: {error}") from error
    filesystem.invalidate_cache()
    return filesystem, str(root).rstrip("/")


def _changed(facts: Mapping[str, Any]) -> float:
    value = facts.get("LastModified") or facts.get("mtime") or facts.get("created") or 0.0
    return value.timestamp() if isinstance(value, datetime) else float(value)
