"""The newest version of a table: one on an object store is opened once, then asked for news.

Opening a table there takes a listing and a request for every commit since the last checkpoint;
asking whether a newer version exists takes one request.
"""

from __future__ import annotations

import time
from contextlib import suppress

from deltalake.exceptions import DeltaError

from phenolake.lake.location import Location
from phenolake.lake.log import has_version
from phenolake.lake.snapshot import Snapshot

#: After so long a table is opened again, whatever the store says.
_KEPT_S = 600.0

_opened: dict[tuple[object, ...], tuple[Snapshot, float]] = {}


def newest(location: Location, layer: str, name: str) -> Snapshot | None:
    """Snapshot of the newest version, for reading only; None when the table does not exist.

    The same object is given to every reader in this process, so it must not be brought up to date.
    """
    if location.is_local:
        return Snapshot.open(location, layer, name)
    held, opened = _opened.get(_key(location, layer, name), (None, 0.0))
    fresh = held is not None and time.monotonic() - opened < _KEPT_S
    if held is not None and fresh and not has_version(held.filesystem, held.version + 1):
        return held
    found = Snapshot.open(location, layer, name)
    if found is not None:
        _remember(found)
    return found


def hand_on(written: Snapshot) -> None:
    """Give what a writer has opened to later readers, brought up to date; the writer is done with it.

    It is not worth an error: a reader opens the table itself where this fails.
    """
    if written.location.is_local:
        return
    with suppress(DeltaError, OSError):
        written.delta.update_incremental()
        _remember(Snapshot(written.location, written.layer, written.name, written.delta))


def _remember(snapshot: Snapshot) -> None:
    key = _key(snapshot.location, snapshot.layer, snapshot.name)
    _opened[key] = (snapshot, time.monotonic())


def _key(location: Location, layer: str, name: str) -> tuple[object, ...]:
    return (location.store, location.uri, layer, name)
