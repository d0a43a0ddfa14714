"""Which screens this installation knows: those in the inbox, and those ingested from elsewhere.

Folders that give the same screen name are roots of one screen.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from phenolake.errors import ConfigurationError, LinkRefusedError, PhenolakeError, UnknownNameError
from phenolake.screens.discover import SCREEN_FILE, Screen, is_below


@dataclass(frozen=True)
class ScreenRegistry:
    """Screens by name. Ingested screens are small JSON files in `folder`; the inbox needs none."""

    folder: Path
    inbox: Path
    #: folders outside of a screen that links to its plates may lead to
    linked_folders: tuple[Path, ...] = ()

    def register(
        self,
        screen_folder: Path,
        config_file: Path | None = None,
        name: str | None = None,
        *,
        as_another_root: bool = False,
    ) -> Screen:
        """Remember a screen; the same folder may be registered again.

        With `as_another_root` the folder holds further plates of a screen that is known, and whose
        settings apply.

        Raises
        ------
        ConfigurationError
            If another folder already holds the name.
        UnknownNameError
            If `as_another_root` names no known screen.
        """
        screen = Screen.open(screen_folder, config_file, name)
        known = self._entry(screen.config.name)
        if as_another_root and not known.exists():
            main = self.screen(screen.config.name)  # one of the inbox
            self._write(
                known, {"folder": str(main.folder), "config": None, "name": main.config.name}
            )
        if known.exists():
            record = json.loads(known.read_text(encoding="utf-8"))
            roots = [record["folder"], *record.get("more_roots", [])]
            if as_another_root and str(screen.folder) not in roots:
                record["more_roots"] = [*roots[1:], str(screen.folder)]
                self._write(known, record)
            if as_another_root or str(screen.folder) in roots[1:]:
                return self.screen(screen.config.name)
            if Path(record["folder"]) != screen.folder:
                raise ConfigurationError(
                    f"screen name {screen.config.name!r} is taken by {record['folder']}; "
                    "give another name with --screen or in screen.yaml"
                )
        record = {
            "folder": str(screen.folder),
            "config": str(config_file.expanduser().resolve()) if config_file else None,
            "name": screen.config.name,
            "more_roots": record.get("more_roots", []) if known.exists() else [],
        }
        self._write(known, record)
        return self.screen(screen.config.name)

    def _write(self, known: Path, record: dict[str, object]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Written beside and renamed, so that a sensor never reads half a file.
        with tempfile.NamedTemporaryFile(
            "w", dir=self.folder, delete=False, encoding="utf-8"
        ) as file:
            json.dump(record, file, indent=1)
        Path(file.name).replace(known)

    def screen(self, name: str) -> Screen:
        """The screen of that name; `UnknownNameError` lists the known ones."""
        entry = self._entry(name)
        of_this_name = [self._registered(entry)] if entry.exists() else []
        of_this_name += [s for s in self._in_inbox()[0] if s.config.name == name]
        if not of_this_name:
            raise UnknownNameError("screen", name, [s.config.name for s in self.screens()[0]])
        return self._merged(of_this_name)

    def screens(self) -> tuple[list[Screen], list[PhenolakeError]]:
        """All screens by name, and the errors of those whose configuration can't be used."""
        in_inbox, errors = self._in_inbox()
        screens: list[Screen] = []
        for entry in sorted(self.folder.glob("*.json")):
            try:
                screens.append(self._registered(entry))
            except PhenolakeError as error:
                errors.append(error)
        by_name: dict[str, list[Screen]] = {}
        for screen in [*screens, *in_inbox]:
            by_name.setdefault(screen.config.name, []).append(screen)
        return [self._merged(found) for _, found in sorted(by_name.items())], errors

    def _entry(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    @staticmethod
    def _registered(entry: Path) -> Screen:
        record = json.loads(entry.read_text(encoding="utf-8"))
        config = Path(record["config"]) if record["config"] else None
        screen = Screen.open(Path(record["folder"]), config, record["name"])
        more = tuple(Path(root) for root in record.get("more_roots", []) if Path(root).is_dir())
        return replace(screen, more_roots=more)

    def _in_inbox(self) -> tuple[list[Screen], list[PhenolakeError]]:
        screens: list[Screen] = []
        errors: list[PhenolakeError] = []
        if not self.inbox.is_dir():
            return screens, errors
        for folder in sorted(self.inbox.iterdir()):
            if not folder.is_dir() or folder.name.startswith((".", "_")):
                continue
            if not is_below(folder, (self.inbox.resolve(), *self.linked_folders)):
                errors.append(LinkRefusedError(folder, folder.resolve()))
                continue
            try:
                screens.append(Screen.open(folder, folder / SCREEN_FILE))
            except PhenolakeError as error:
                errors.append(error)
        return screens, errors

    def _merged(self, found: list[Screen]) -> Screen:
        """One screen of all that have a name: the first one's settings, plates from every root."""
        first = found[0]
        roots = dict.fromkeys(root for screen in found for root in screen.roots)
        more = tuple(root for root in roots if root != first.folder)
        return replace(first, more_roots=more, linked_folders=self.linked_folders)
