"""Give back the room of plates that were fetched from an object store, once their tables are made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from phenolake.identity import PlateKey
from phenolake.images.stored import FETCHED, Fetched
from phenolake.lake import Lake
from phenolake.screens.store_inbox import is_released, release_plate


def release_fetched(
    lake: Lake, inbox: Path, keep: timedelta, now: float | None = None
) -> Iterator[tuple[PlateKey, int]]:
    """Delete local copies of plates that were fetched longer than `keep` ago; yields key and bytes.

    Only of plates whose every image the catalogue also knows in the store, and that have profiles:
    what reads pixels later (pages, exports, another segmentation) reads them from there.
    """
    now = time.time() if now is None else now
    for word in sorted(inbox.glob(f"*/*/{FETCHED}")):
        key = PlateKey(word.parent.parent.name, word.parent.name)
        old = now - word.stat().st_mtime >= keep.total_seconds()
        if old and not is_released(inbox, key) and _is_done(lake, key, word.parent):
            yield key, release_plate(inbox, key)


def _is_done(lake: Lake, key: PlateKey, folder: Path) -> bool:
    if not (lake.exists("raw_image_catalog") and lake.exists("well_profiles")):
        return False
    images = lake.read("raw_image_catalog", key.where, columns=["uri", "origin"]).unique()
    profiled = lake.read("well_profiles", key.where, columns=["Metadata_Well"]).height > 0
    fetched = Fetched.of(folder)
    here = all(Path(uri).is_relative_to(folder) for uri in images["uri"])
    known = fetched is not None and bool(fetched.origin) and not images["origin"].null_count()
    return profiled and here and known and not images.is_empty()
