"""One commit to a Delta table, however many others write and whatever the store answers.

Files are written before; only the small commit is repeated when another writer was faster.
"""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from deltalake.exceptions import CommitFailedError, DeltaError
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from phenolake.errors import LakeError
from phenolake.lake.location import Location
from phenolake.lake.log import commit_of
from phenolake.lake.newest import brought_up_to_date, keep, newest_to_write
from phenolake.lake.snapshot import Snapshot

ATTEMPTS = 40
#: Commit information by which a writer knows its own commit.
_TOKEN = "phenolake_commit"

#: Commits on a snapshot (None: no table yet) with this commit information.
Act = Callable[[Snapshot | None, dict[str, str]], None]


@dataclass(frozen=True)
class Commit:
    """What one write did."""

    table: str
    version: int
    rows: int
    bytes: int
    seconds: float


def commit_and_confirm(
    location: Location,
    layer: str,
    name: str,
    metadata: dict[str, str],
    act: Act,
    part: object,
    known: Snapshot | None = None,
) -> int:
    """Let `act` commit on the newest version, again if another writer won; returns the version.

    Parameters
    ----------
    part
        What of the table is written, for the error's sentence.
    known
        An earlier snapshot; it is brought up to date, and used for the first attempt.

    Raises
    ------
    LakeError
        If other writers of the same part won every attempt.
    """
    said = {**metadata, "phenolake_user": _user(), _TOKEN: uuid.uuid4().hex}
    attempts = Retrying(
        retry=retry_if_exception_type(CommitFailedError),
        wait=wait_random_exponential(multiplier=0.05, max=3),
        stop=stop_after_attempt(ATTEMPTS),
    )
    try:
        for attempt in attempts:
            with attempt:
                snapshot = _newest(location, layer, name, known)
                known = None
                version = _attempt(location, layer, name, snapshot, said, act)
                if snapshot is not None:
                    keep(snapshot)
                return version
    except RetryError as error:
        raise LakeError(
            f"table {name!r}: other writers of {part} won {ATTEMPTS} times; "
            "nothing was changed, run this again"
        ) from error
    raise AssertionError("an attempt returns or raises")


def _newest(location: Location, layer: str, name: str, known: Snapshot | None) -> Snapshot | None:
    with location.writing():
        if known is None:
            return newest_to_write(location, layer, name)
        return brought_up_to_date(known)


def _attempt(
    location: Location,
    layer: str,
    name: str,
    snapshot: Snapshot | None,
    said: dict[str, str],
    act: Act,
) -> int:
    with location.writing():
        seen = -1 if snapshot is None else snapshot.version
        try:
            act(snapshot, said)
        except (DeltaError, OSError):
            # A store may carry out a commit and lose its answer. A second one would be another
            # version, or a conflict with ourselves.
            version = _version_of(location, layer, name, said[_TOKEN], seen)
            if version is None:
                raise
            return version
    version = _version_of(location, layer, name, said[_TOKEN], seen)
    if version is None:
        raise LakeError(f"table {name!r}: its log lost a commit; is another tool cleaning it?")
    return version


def _version_of(location: Location, layer: str, name: str, token: str, seen: int) -> int | None:
    """Version after `seen` that carries the token; None when no commit does."""
    filesystem = location.filesystem(layer, name)
    version = seen + 1
    while (entry := commit_of(filesystem, version)) is not None:
        if entry.get(_TOKEN) == token:
            return version
        version += 1
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return ""
