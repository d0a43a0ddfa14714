"""Where unfinished work of a lake is kept, so that a killed run goes on and other machines find it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from phenolake.lake import Lake


def work_folder(lake: Lake) -> Path:
    """The folder beside a local lake; for a lake elsewhere, in PHENOLAKE_HOME or the user's cache.

    Workers on other machines read and write here too, so on a cluster PHENOLAKE_HOME is a volume
    that all of them have.
    """
    if lake.location.is_local:
        return Path(lake.uri).parent / "work"
    home = os.environ.get("PHENOLAKE_HOME")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(lake.uri.encode()).hexdigest()[:16]
    return (Path(home).expanduser().resolve() / "work" if home else cache / "phenolake") / name
