"""Which screens this installation knows: those in the inbox, and those ingested from elsewhere."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from phenolake.errors import ConfigurationError, PhenolakeError, UnknownNameError
from phenolake.screens.discover import SCREEN_FILE, Screen


@dataclass(frozen=True)
class ScreenRegistry:
    """Screens by name. Ingested screens are small JSON files in `folder`; the inbox needs none."""

    folder: Path
    inbox: Path

    def register(
        self, screen_folder: Path, config_file: Path | None = None, name: str | None = None
    ) -> Screen:
        """Remember a screen; the same folder may be registered again.

        Raises
        ------
        ConfigurationError
            If another folder already holds the name.
        """
        screen = Screen.open(screen_folder, config_file, name)
        known = self._entry(screen.config.name)
        if known.exists():
            other = json.loads(known.read_text(encoding="utf-8"))["folder"]
            if Path(other) != screen.folder:
                raise ConfigurationError(
                    f"screen name {screen.config.name!r} is taken by {other}; "
                    "give another name with --screen or in screen.yaml"
                )
        record = {
            "folder": str(screen.folder),
            "config": str(config_file.expanduser().resolve()) if config_file else None,
            "name": screen.config.name,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        # Written beside and renamed, so that a sensor never reads half a file.
        with tempfile.NamedTemporaryFile(
            "w", dir=self.folder, delete=False, encoding="utf-8"
        ) as file:
            json.dump(record, file, indent=1)
        os.replace(file.name, known)
        return screen

    def screen(self, name: str) -> Screen:
        """The screen of that name; `UnknownNameError` lists the known ones."""
        entry = self._entry(name)
        if entry.exists():
            return self._registered(entry)
        for screen in self._in_inbox()[0]:
            if screen.config.name == name:
                return screen
        raise UnknownNameError("screen", name, [s.config.name for s in self.screens()[0]])

    def screens(self) -> tuple[list[Screen], list[PhenolakeError]]:
        """All screens by name, and the errors of those whose configuration can't be used."""
        screens, errors = self._in_inbox()
        for entry in sorted(self.folder.glob("*.json")):
            try:
                screens.append(self._registered(entry))
            except PhenolakeError as error:
                errors.append(error)
        return sorted(
            {s.config.name: s for s in screens}.values(), key=lambda s: s.config.name
        ), errors

    def _entry(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    @staticmethod
    def _registered(entry: Path) -> Screen:
        record = json.loads(entry.read_text(encoding="utf-8"))
        config = Path(record["config"]) if record["config"] else None
        return Screen.open(Path(record["folder"]), config, record["name"])

    def _in_inbox(self) -> tuple[list[Screen], list[PhenolakeError]]:
        screens: list[Screen] = []
        errors: list[PhenolakeError] = []
        if not self.inbox.is_dir():
            return screens, errors
        for folder in sorted(self.inbox.iterdir()):
            if not folder.is_dir() or folder.name.startswith((".", "_")):
                continue
            try:
                screens.append(Screen.open(folder, folder / SCREEN_FILE))
            except PhenolakeError as error:
                errors.append(error)
        return screens, errors
