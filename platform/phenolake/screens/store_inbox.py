"""Inboxes on an object store: list `<inbox>/<screen>/<plate>/...`, and fetch what is complete.

A complete plate is copied to the local inbox, which is a cache: once its tables are made the copy may go.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from phenolake.errors import ConfigurationError
from phenolake.identity import PlateKey
from phenolake.images.stored import FETCHED, Fetched
from phenolake.screens.completeness import MARKS, Entry, Judgement, Listing, judge
from phenolake.screens.discover import plate_name

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

#: So many plates that were fetched before are looked at in one round for new or changed objects.
RECHECKED = 20


@dataclass(frozen=True)
class StorePlate:
    """One plate of an object-store inbox; `prefix` is where its objects are."""

    key: PlateKey
    prefix: str
    listing: Listing

    def judged(self, quiet_time_s: float, now: float | None = None) -> Judgement:
        """Whether the upload is finished; see `completeness.judge`."""
        return judge(self.listing, quiet_time_s, time.time() if now is None else now)


@dataclass
class StoreScan:
    """Plates to fetch with their fingerprints, others with the reason, and whose turn is next."""

    due: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    turn: int = 0


@dataclass(frozen=True)
class StoreInbox:
    """An inbox such as `s3://bucket/inbox`; `options` go to fsspec, keys come from AWS_* variables."""

    uri: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def prefixes(self) -> dict[PlateKey, list[str]]:
        """Where the plates are, from listings of folders only; two that share a name share a key.

        Raises
        ------
        ConfigurationError
            If the store can't be reached or needs a package that is not installed.
        """
        filesystem, root = self._opened()
        plates: dict[PlateKey, list[str]] = {}
        for screen in self._folders(filesystem, root):
            for plate in self._folders(filesystem, screen):
                key = PlateKey(plate_name(_name(screen)), plate_name(_name(plate)))
                plates.setdefault(key, []).append(plate)
        return dict(sorted(plates.items()))

    def plate(self, key: PlateKey, prefix: str) -> StorePlate:
        """What lies below a prefix."""
        filesystem, _ = self._opened()
        entries = []
        for path, facts in self._asked(filesystem.find, prefix, detail=True).items():
            below = PurePosixPath(path).relative_to(PurePosixPath(prefix)).parts
            if below and not any(part in ("..", ".") for part in below):
                entries.append(Entry("/".join(below), int(facts.get("size") or 0), _changed(facts)))
        mark = next((entry for entry in entries if entry.name in MARKS), None)
        text = ""
        if mark is not None and mark.size:
            content = self._asked(filesystem.cat_file, f"{prefix}/{mark.name}")
            text = content.decode("utf-8", "replace")
        files = tuple(entry for entry in entries if entry.name not in MARKS)
        return StorePlate(key, prefix, Listing(files, (), mark.name if mark else None, text))

    def scan(
        self, inbox: Path, quiet_time_s: float, turn: int = 0, now: float | None = None
    ) -> StoreScan:
        """Which plates are complete and not in the local inbox as they are in the store.

        Plates that were fetched are looked at again a few in each round, beginning with `turn`.
        """
        plates = self.prefixes()
        fetched = [key for key in plates if _fetched(inbox, key)]
        count = len(fetched)
        again = {fetched[(turn + i) % count] for i in range(min(RECHECKED, count))}
        scan = StoreScan(turn=(turn + RECHECKED) % max(1, count))
        for key, prefixes in plates.items():
            if len(prefixes) > 1:
                scan.errors.append(f"plate {key} is in {' and in '.join(prefixes)}; rename one")
                continue
            if _fetched(inbox, key) and key not in again:
                continue
            plate = self.plate(key, prefixes[0])
            judgement = plate.judged(quiet_time_s, now)
            if not judgement.is_complete:
                scan.waiting[str(key)] = judgement.reason
            elif plate.listing.fingerprint != _fetched(inbox, key):
                scan.due[str(key)] = plate.listing.fingerprint
        return scan

    def fetch(self, plate: StorePlate, inbox: Path) -> int:
        """Copy a plate to the local inbox; returns the number of files.

        A file is written under a `.part` name and renamed, files that the store lacks are removed,
        and the mark comes last: the local inbox never shows half a plate. Files of the screen
        itself (`screen.yaml`, plate map) come along.
        """
        filesystem, _ = self._opened()
        screen, folder = inbox / plate.key.screen, folder_of(inbox, plate.key)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKS[0]).unlink(missing_ok=True)
        (folder / FETCHED).unlink(missing_ok=True)
        for facts in self._asked(filesystem.ls, plate.prefix.rpartition("/")[0], detail=True):
            if facts["type"] == "file" and _name(facts["name"]):
                self._copy(filesystem, facts["name"], screen, _name(facts["name"]))
        names = {entry.name for entry in plate.listing.files}
        for name in names:
            self._copy(filesystem, f"{plate.prefix}/{name}", folder, name)
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            if path.relative_to(folder).as_posix() not in names:
                path.unlink()
        origin = filesystem.unstrip_protocol(plate.prefix)
        Fetched(plate.listing.fingerprint, origin).write(folder)
        (folder / MARKS[0]).touch()
        return len(names)

    def _opened(self) -> tuple[AbstractFileSystem, str]:
        import fsspec

        try:
            filesystem, root = fsspec.core.url_to_fs(self.uri, **self.options)
        except (ImportError, ValueError) as error:
            raise ConfigurationError(f"inbox {self.uri}: {error}") from error
        filesystem.invalidate_cache()
        return filesystem, str(root).rstrip("/")

    def _asked(self, question: Callable[..., Any], *values: object, **options: object) -> Any:
        try:
            return question(*values, **options)
        except Exception as error:  # every store has errors of its own
            reason = str(error) or type(error).__name__
            raise ConfigurationError(f"inbox {self.uri}: can't be read: {reason}") from error

    def _folders(self, filesystem: AbstractFileSystem, prefix: str) -> list[str]:
        return [
            str(facts["name"]).rstrip("/")
            for facts in self._asked(filesystem.ls, prefix, detail=True)
            if facts["type"] == "directory" and not _name(facts["name"]).startswith((".", "_"))
        ]

    def _copy(self, filesystem: AbstractFileSystem, source: str, folder: Path, name: str) -> None:
        target = folder / name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise ConfigurationError(f"{source!r} leaves the plate's folder {folder}")
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        self._asked(filesystem.get_file, source, str(part))
        part.replace(target)


def store_plates(uri: str, options: Mapping[str, Any] | None = None) -> Iterator[StorePlate]:
    """Plates of an inbox such as `s3://bucket/inbox`, and what lies below each."""
    store = StoreInbox(uri, options or {})
    for key, prefixes in store.prefixes().items():
        yield from (store.plate(key, prefix) for prefix in prefixes)


def fetch_plates(
    uri: str,
    inbox: Path,
    quiet_time_s: float,
    options: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.time,
) -> Iterator[tuple[PlateKey, str]]:
    """Copy complete plates, new or changed, to a local inbox; yields what happened to each."""
    store = StoreInbox(uri, options or {})
    for key, prefixes in store.prefixes().items():
        if len(prefixes) > 1:
            yield key, f"is in {' and in '.join(prefixes)}; rename one"
            continue
        plate = store.plate(key, prefixes[0])
        judgement = plate.judged(quiet_time_s, clock())
        if not judgement.is_complete:
            yield key, judgement.reason
        elif _fetched(inbox, key) == plate.listing.fingerprint:
            yield key, "up to date"
        else:
            store.fetch(plate, inbox)
            yield key, "fetched"


def fetch_plate(store: StoreInbox, key: PlateKey, inbox: Path) -> int:
    """Copy one plate to a local inbox as it is in the store now; returns the number of files.

    Raises
    ------
    ConfigurationError
        If the store has no such plate, or two.
    """
    prefixes = store.prefixes().get(key, [])
    if len(prefixes) != 1:
        raise ConfigurationError(f"inbox {store.uri}: {len(prefixes)} plates are named {key}")
    return store.fetch(store.plate(key, prefixes[0]), inbox)


def release_plate(inbox: Path, key: PlateKey) -> int:
    """Delete the local copy of a plate that was fetched; returns its bytes.

    The folder goes on saying what was fetched, so that only a plate that changes is fetched again.
    """
    folder, freed = folder_of(inbox, key), 0
    for mark in MARKS:  # without a mark nobody takes what is left for a plate
        (folder / mark).unlink(missing_ok=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        elif path != folder / FETCHED:
            freed += path.lstat().st_size
            path.unlink()
    return freed


def is_released(inbox: Path, key: PlateKey) -> bool:
    """Tell whether a plate was fetched and nothing but the word of it is left."""
    folder = folder_of(inbox, key)
    return Fetched.of(folder) is not None and [path.name for path in folder.iterdir()] == [FETCHED]


def folder_of(inbox: Path, key: PlateKey) -> Path:
    """Where a plate of the store lies in the local inbox."""
    return inbox / key.screen / key.plate


def _fetched(inbox: Path, key: PlateKey) -> str:
    """Fingerprint of a plate as it was fetched; empty if it was not."""
    fetched = Fetched.of(folder_of(inbox, key))
    return fetched.fingerprint if fetched else ""


def _name(path: object) -> str:
    return PurePosixPath(str(path)).name


def _changed(facts: Mapping[str, Any]) -> float:
    value = facts.get("LastModified") or facts.get("mtime") or facts.get("created") or 0.0
    return value.timestamp() if isinstance(value, datetime) else float(value)
