"""Cells of sites already measured, kept until their plate is committed: a killed run goes on."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from phenolake import __version__
from phenolake.images.planes import Problem
from phenolake.images.sites import Site
from phenolake.lake import Lake
from phenolake.stages.work_folder import work_folder


@dataclass(frozen=True)
class MeasuredSites:
    """One Arrow file per finished site, named by everything its values depend on.

    Files of other masks, images, settings or code are never found; they go with the folder.
    """

    folder: Path

    @classmethod
    def of_plate(cls, lake: Lake, plate: str) -> MeasuredSites:
        """The plate's folder: beside a local lake, for one elsewhere in the user's cache."""
        return cls(work_folder(lake) / "single_cell_features" / plate)

    def key(self, site: Site, *parts: bytes) -> str:
        """Name of a site's file: images by place, size and time; masks and settings by content."""
        digest = hashlib.sha256(_code().encode())
        digest.update(repr(site).encode())
        for stack in site.planes:
            for uri, _ in stack:
                digest.update(_state(uri).encode())
        for part in parts:
            digest.update(len(part).to_bytes(8, "little") + part)
        return digest.hexdigest()

    def find(self, key: str) -> pa.Table | None:
        """Cells of a finished site; None if it is not finished, or its file was cut short."""
        try:
            with pa.OSFile(str(self._path(key))) as source:
                return pa.ipc.open_file(source).read_all()
        except (OSError, pa.ArrowInvalid):
            return None

    def keep(self, key: str, cells: pa.Table) -> None:
        """Store a finished site; its file appears whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{key}.{os.getpid()}.part"
        with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, cells.schema) as writer:
            writer.write_table(cells)
        part.replace(self._path(key))

    def clear(self) -> None:
        """Remove everything kept of the plate, once its commit is in the lake."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.arrow"


@lru_cache(maxsize=1)
def _code() -> str:
    """Version of the code that measures, by its content: a development checkout keeps its version."""
    import phenolake.features

    digest = hashlib.sha256(__version__.encode())
    for source in sorted(Path(phenolake.features.__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _state(uri: str) -> str:
    try:
        found = Path(uri).stat()
    except OSError:
        return uri
    return f"{found.st_size} {found.st_mtime_ns}"


@dataclass(frozen=True)
class Measured:
    """Outcome of one site: its cells or its problem, and whether an earlier run had measured it.

    It travels between processes as one Arrow stream: pickle would send each of a thousand columns
    as an object of its own, which takes as long as measuring the cells.
    """

    outcome: pa.Table | Problem
    resumed: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Cells as one buffer."""
        if isinstance(self.outcome, Problem):
            return Measured, (self.outcome, self.resumed)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.outcome.schema) as stream:
            stream.write_table(self.outcome)
        return _received, (sink.getvalue(), self.resumed)


def _received(cells: pa.Buffer, resumed: bool) -> Measured:
    return Measured(pa.ipc.open_stream(cells).read_all(), resumed)
