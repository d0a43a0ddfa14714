"""A `screen.yaml` for a folder nobody described: reader, preset and what each channel shows."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import yaml

from phenolake.errors import EmptyFolderError
from phenolake.images.plane_checks import plain_role, role_of
from phenolake.images.planes import Plane
from phenolake.images.readers import Detection, detect_reader, reader_named
from phenolake.screens.config import ScreenConfig
from phenolake.screens.discover import SCREEN_FILE, Plate, Screen
from phenolake.screens.presets import PRESETS

#: Plates whose channels are looked at.
LOOKED_AT = 12


def propose(
    screen: Screen, plates: list[Plate], detection: Detection | None = None
) -> ScreenConfig:
    """A configuration whose preset recognises the most channels; others are mapped to their own name.

    Unnamed channels whose number fits a preset are taken in its order, to be corrected by whoever
    knows the stains.

    Raises
    ------
    EmptyFolderError
        If no reader understands the first plate.
    """
    pattern = screen.config.pattern
    readers = {plates[0].folder: (detection or detect_reader(plates[0].folder, pattern)).reader}
    for plate in plates[1:LOOKED_AT]:
        with suppress(EmptyFolderError):  # said when the plate is catalogued
            readers[plate.folder] = detect_reader(plate.folder, pattern).reader
    acquired = sorted(
        {c for folder, name in readers.items() for c in acquired_channels(folder, name, pattern)}
    )
    values: dict[str, object] = {"name": screen.config.name}
    if len(set(readers.values())) == 1:
        values["reader"] = readers[plates[0].folder]
    if (
        len(plates) == 1
        and plates[0].folder.is_relative_to(screen.folder)
        and not plates[0].shares_folder
    ):
        is_named = plates[0].key.plate != screen.config.name
        if not is_named or plates[0].folder.parent != screen.folder:
            values["images"] = plates[0].folder.relative_to(screen.folder).as_posix()
            values |= {"plate": plates[0].key.plate} if is_named else {}
    return ScreenConfig(**{**values, **_channels(acquired, values)})


def acquired_channels(folder: Path, reader: str, pattern: str | None = None) -> list[str]:
    """Channel names as acquired, in order."""
    found = reader_named(reader, pattern).planes(folder)
    return sorted({item.channel for item in found if isinstance(item, Plane)})


def _channels(acquired: list[str], values: dict[str, object]) -> dict[str, object]:
    """Preset, and where it does not name every channel, the mapping of channels to roles."""
    candidates = [ScreenConfig(**{**values, "preset": name}) for name in PRESETS]

    def recognised(config: ScreenConfig) -> tuple[int, int]:
        roles = {role_of(channel, config) for channel in acquired} - {None}
        return len(roles), -len(config.roles)

    best = max(candidates, key=recognised)
    roles = {channel: role_of(channel, best) for channel in acquired}
    if set(roles.values()) == set(best.roles) and len(acquired) == len(best.roles):
        return {"preset": best.preset}
    preset = next((p for p in PRESETS.values() if len(p.roles) == len(acquired)), None)
    if preset is not None and not any(roles.values()):
        return {"preset": preset.name, "channels": dict(zip(acquired, preset.roles, strict=True))}
    mapped: dict[str, str] = {}
    for channel, role in roles.items():
        # Of two channels with the same stain, the second keeps its own name.
        mapped[channel] = role if role and role not in mapped.values() else plain_role(channel)
    found: dict[str, object] = {"preset": best.preset, "channels": mapped}
    if mapped and best.assay.nuclei_channel not in mapped.values():
        found["nuclei_channel"] = next(iter(mapped.values()))
    return found


def keep_proposal(folder: Path, into: Path, name: str | None = None) -> Path | None:
    """Propose a configuration for a folder without one, as a file that its owner may edit.

    Returns the file, an earlier one if it is still there; None where the folder has a
    `screen.yaml` or holds no image.

    Raises
    ------
    EmptyFolderError
        If the folder does not exist, or no reader understands its images.
    """
    screen = Screen.open(folder, name=name)
    if (screen.folder / SCREEN_FILE).exists():
        return None
    path = into / f"{screen.config.name}.yaml"
    plates = screen.plates()
    if path.exists() or not plates:
        return path if path.exists() else None
    values = propose(screen, plates).model_dump(mode="json", exclude_defaults=True)
    into.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path
