"""Rights of temporary folders, for tests in which another user than root reads them."""

from __future__ import annotations

from pathlib import Path


def let_others_in(folder: Path) -> None:
    """Let everybody list and enter a folder and those above it that only their owner may enter."""
    for place in (folder, *folder.parents):
        mode = place.stat().st_mode
        if mode & 0o055 != 0o055:
            place.chmod(mode | 0o055)
