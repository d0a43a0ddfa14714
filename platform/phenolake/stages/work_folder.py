"""Where unfinished work of a lake is kept, so that a killed run goes on."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from phenolake.lake import Lake


def work_folder(lake: Lake) -> Path:
    """The folder beside a local lake; for a lake elsewhere, in the user's cache."""
    if lake.location.is_local:
        return Path(lake.uri).parent / "work"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "phenolake" / hashlib.sha256(lake.uri.encode()).hexdigest()[:16]
