"""Whether what a screen's tables were made from has changed since they were made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import dagster as dg

from phenolake.images.readers.base import image_files
from phenolake.screens.discover import SCREEN_FILE, Plate, Screen


def plate_is_up_to_date(
    instance: dg.DagsterInstance, screen: Screen, plate: Plate, config: Path | None
) -> bool:
    """Whether the plate's profiles are newer than its images, its plate map and `screen.yaml`."""
    made = _made(instance, "normalized_profiles", str(plate.key))
    described = (
        config or screen.folder / SCREEN_FILE,
        screen.folder / screen.config.plate_map.file,
    )
    return made is not None and all(
        changed < made for changed in _changes([*described, *_with_folders(plate)])
    )


def screen_is_up_to_date(
    instance: dg.DagsterInstance, screen: Screen, plates: Iterable[Plate], last_asset: str
) -> bool:
    """Whether the screen's last asset is newer than all its plates, and the marts newer than that."""
    made = _made(instance, last_asset, screen.config.name)
    reported = _made(instance, "plate_quality")
    if made is None or reported is None or reported < made:
        return False
    profiled = (_made(instance, "normalized_profiles", str(plate.key)) for plate in plates)
    return all(when is not None and when < made for when in profiled)


def _with_folders(plate: Plate) -> Iterator[Path]:
    """The images, and their folders, whose times tell of images added or taken away."""
    folders = {plate.folder}
    for path in image_files(plate.folder):
        folders.add(path.parent)
        yield path
    yield from folders


def _changes(paths: Iterable[Path]) -> Iterator[float]:
    for path in paths:
        if path.exists():
            yield path.stat().st_mtime


def _made(instance: dg.DagsterInstance, asset: str, partition: str | None = None) -> float | None:
    """When an asset was last materialized, in seconds since the epoch."""
    wanted = dg.AssetRecordsFilter(
        dg.AssetKey(asset), asset_partitions=[partition] if partition else None
    )
    records = instance.fetch_materializations(wanted, limit=1).records
    return records[0].timestamp if records else None
