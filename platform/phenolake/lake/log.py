"""What the commits of a Delta table say, read from its log.

deltalake's own `history` keeps Python's lock while it waits for an object store.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow.fs as arrow_fs

_COMMIT = re.compile(r"\d{20}\.json")


def commits(filesystem: arrow_fs.FileSystem) -> Iterator[dict[str, Any]]:
    """Yield the commit information of each version, newest first, with `version` added.

    Parameters
    ----------
    filesystem
        Rooted at the table.
    """
    listed = filesystem.get_file_info(arrow_fs.FileSelector("_delta_log", allow_not_found=True))
    names = (info.base_name for info in listed)
    for name in sorted(filter(_COMMIT.fullmatch, names), reverse=True):
        with filesystem.open_input_stream(f"_delta_log/{name}") as source:
            actions = map(json.loads, source.read().splitlines())
            information: dict[str, Any] = next(
                (a["commitInfo"] for a in actions if "commitInfo" in a), {}
            )
        yield {**information, "version": int(name.removesuffix(".json"))}
