"""What the commits of a Delta table say, read from its log.

deltalake's own `history` keeps Python's lock while it waits for an object store.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pyarrow.fs as arrow_fs

_COMMIT = re.compile(r"(\d{20})\.json")
_READERS = 16


def commits(filesystem: arrow_fs.FileSystem) -> Iterator[dict[str, Any]]:
    """Yield the commit information of each version, newest first.

    Besides what the writer said, each has `version`, and `rows`, `bytes`, `files_added` and
    `files_removed` as the commit's own actions tell them.

    Parameters
    ----------
    filesystem
        Rooted at the table.
    """
    newest_first = sorted(_versions(filesystem), reverse=True)
    for start in range(0, len(newest_first), _READERS):
        yield from _read_together(filesystem, newest_first[start : start + _READERS])


def commit_of(filesystem: arrow_fs.FileSystem, version: int) -> dict[str, Any] | None:
    """Commit information of one version; None when the log does not hold it."""
    try:
        with filesystem.open_input_stream(f"_delta_log/{version:020d}.json") as source:
            return _described(version, source.read())
    except FileNotFoundError:
        return None


def has_version(filesystem: arrow_fs.FileSystem, version: int) -> bool:
    """Tell whether the log holds a version, in one request to an object store."""
    try:
        filesystem.open_input_file(f"_delta_log/{version:020d}.json").close()
    except FileNotFoundError:
        return False
    return True


def identity(filesystem: arrow_fs.FileSystem, version: int) -> tuple[int, ...] | None:
    """Size and time of a version's entry in nanoseconds; None when the log does not hold it."""
    found = filesystem.get_file_info(f"_delta_log/{version:020d}.json")
    if found.type != arrow_fs.FileType.File:
        return None
    return (found.size, found.mtime_ns)


def newest_checkpoint(filesystem: arrow_fs.FileSystem) -> int | None:
    """Version that the last checkpoint of the log holds; None when there is none."""
    try:
        with filesystem.open_input_stream("_delta_log/_last_checkpoint") as source:
            return int(json.loads(source.read())["version"])
    except FileNotFoundError:
        return None


def _versions(filesystem: arrow_fs.FileSystem) -> list[int]:
    listed = filesystem.get_file_info(arrow_fs.FileSelector("_delta_log", allow_not_found=True))
    return [int(found[1]) for info in listed if (found := _COMMIT.fullmatch(info.base_name))]


def _read_together(
    filesystem: arrow_fs.FileSystem, versions: list[int]
) -> Iterator[dict[str, Any]]:
    """Wait for several answers of an object store at once; an answer takes far longer than parsing."""
    if isinstance(getattr(filesystem, "base_fs", filesystem), arrow_fs.LocalFileSystem):
        found = [commit_of(filesystem, version) for version in versions]
    else:
        with ThreadPoolExecutor(_READERS) as pool:
            found = list(pool.map(partial(commit_of, filesystem), versions))
    yield from (commit for commit in found if commit is not None)


def _described(version: int, text: bytes) -> dict[str, Any]:
    information: dict[str, Any] = {}
    rows = size = added = removed = 0
    for action in map(json.loads, text.splitlines()):
        if "commitInfo" in action:
            information = action["commitInfo"]
        elif "add" in action:
            added += 1
            size += int(action["add"]["size"])
            rows += int(json.loads(action["add"].get("stats") or "{}").get("numRecords", 0))
        elif "remove" in action:
            removed += 1
    return {
        **information,
        "version": version,
        "rows": rows,
        "bytes": size,
        "files_added": added,
        "files_removed": removed,
    }
