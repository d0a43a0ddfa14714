"""The newest version of each table: opened once in a process, then asked for news and brought up to date.

Opening a table reads its log: every file of it, and on an object store a request for each commit
since the last checkpoint. Asking whether a newer version exists takes one look.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from deltalake.exceptions import DeltaError

from phenolake.lake.location import Location
from phenolake.lake.log import has_version, identity
from phenolake.lake.snapshot import Snapshot

#: After so long a table is opened again, whatever the store says.
_KEPT_S = 600.0
#: Tables that are kept open: those of two lakes.
_KEPT = 64

_Key = tuple[object, ...]


@dataclass(frozen=True)
class _Open:
    """A table that is kept open, and what its newest log entry was then; None on a store."""

    snapshot: Snapshot
    since: float
    entry: tuple[int, ...] | None

    def is_same_table(self) -> bool:
        """Tell whether the table was not deleted and made again since."""
        snapshot = self.snapshot
        if time.monotonic() - self.since > _KEPT_S:
            return False
        return not snapshot.location.is_local or self.entry == identity(
            snapshot.filesystem, snapshot.version
        )

    def has_news(self) -> bool:
        """Tell whether someone has committed since."""
        return has_version(self.snapshot.filesystem, self.snapshot.version + 1)


_open: dict[_Key, _Open] = {}
_open_lock = threading.Lock()


def newest(location: Location, layer: str, name: str) -> Snapshot | None:
    """Snapshot of the newest version; None when the table does not exist.

    The same object is given to every reader in this process: its `delta` is not for them.
    """
    held = _open.get(_key(location, layer, name))
    if held is not None and held.is_same_table() and not held.has_news():
        return held.snapshot
    found = newest_to_write(location, layer, name)
    if found is not None:
        keep(found)
    return found


def newest_to_write(location: Location, layer: str, name: str) -> Snapshot | None:
    """Snapshot of the newest version, whose `delta` is the caller's alone until it is handed on."""
    with _open_lock:
        held = _open.pop(_key(location, layer, name), None)
    if held is None or not held.is_same_table():
        return Snapshot.open(location, layer, name)
    try:
        return brought_up_to_date(held.snapshot)
    except (DeltaError, OSError):
        return Snapshot.open(location, layer, name)


def brought_up_to_date(snapshot: Snapshot) -> Snapshot:
    """The newest version by way of an older one whose `delta` is the caller's alone."""
    if not has_version(snapshot.filesystem, snapshot.version + 1):
        return snapshot
    snapshot.delta.update_incremental()
    return Snapshot.of(snapshot.location, snapshot.layer, snapshot.name, snapshot.delta)


def keep(snapshot: Snapshot) -> None:
    """Give what a reader or a writer has opened to others; its `delta` is no longer the giver's.

    It may be of an older version: who takes it brings it up to date.
    """
    entry = None
    if snapshot.location.is_local:
        entry = identity(snapshot.filesystem, snapshot.version)
        if entry is None:  # only a checkpoint holds this version
            return
    with _open_lock:
        key = _key(snapshot.location, snapshot.layer, snapshot.name)
        _open.pop(key, None)
        _open[key] = _Open(snapshot, time.monotonic(), entry)
        while len(_open) > _KEPT:
            del _open[next(iter(_open))]


def _key(location: Location, layer: str, name: str) -> _Key:
    return (location.store, location.uri, layer, name)
