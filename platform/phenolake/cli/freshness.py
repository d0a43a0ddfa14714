"""Whether what a screen's tables were made from has changed since they were made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import dagster as dg

from phenolake.images.readers.base import image_files
from phenolake.screens.discover import SCREEN_FILE, Plate, Screen

#: What a plate's run makes last, and one of the marts.
PROFILES = dg.AssetKey("normalized_profiles")
REPORT = dg.AssetKey("plate_quality")


def plate_is_up_to_date(
    instance: dg.DagsterInstance, screen: Screen, plate: Plate, config: Path | None
) -> bool:
    """Whether the plate's profiles are newer than its images, its plate map and `screen.yaml`."""
    made = _made(instance, PROFILES, str(plate.key))
    described = (
        config or screen.folder / SCREEN_FILE,
        screen.folder / screen.config.plate_map.file,
    )
    return made is not None and all(
        changed < made for changed in _changes([*described, *_with_folders(plate)])
    )


def screen_is_up_to_date(
    instance: dg.DagsterInstance,
    screen: Screen,
    plates: Iterable[Plate],
    assets: Iterable[dg.AssetKey],
) -> bool:
    """Whether all these assets of the screen are newer than its plates, and the marts than them."""
    name = screen.config.name
    profiled = [_made(instance, PROFILES, str(plate.key)) for plate in plates]
    made = [_made(instance, asset, name) for asset in assets]
    return _in_order(profiled, made) and _in_order(made, [_made(instance, REPORT)])


def _in_order(earlier: list[float | None], later: list[float | None]) -> bool:
    """Whether all of these happened, and each of the later ones after all of the earlier ones."""
    first, then = ([when for when in times if when is not None] for times in (earlier, later))
    all_happened = len(first) == len(earlier) and len(then) == len(later)
    return all_happened and max(first) < min(then)


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


def _made(
    instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str | None = None
) -> float | None:
    """When an asset was last materialized, in seconds since the epoch."""
    wanted = dg.AssetRecordsFilter(asset, asset_partitions=[partition] if partition else None)
    records = instance.fetch_materializations(wanted, limit=1).records
    return records[0].timestamp if records else None
