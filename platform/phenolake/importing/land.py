"""Write a source's tables to the lake, a plate at a time, and its faults to the quarantine."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from phenolake import __version__
from phenolake.errors import ImportSourceError, UnknownNameError
from phenolake.identity import PlateKey, checked_name
from phenolake.images.planes import Problem, quarantine_rows
from phenolake.importing.cells import PlateOfCells, plates_of_cells
from phenolake.importing.compartments import OutOfOrderError, Unmatched
from phenolake.importing.exports import csv_exports, database_export
from phenolake.importing.label_images import PlateOfMasks, plates_of_masks
from phenolake.importing.probability_maps import ProbabilityRule
from phenolake.importing.profile_tables import PlateOfProfiles, plates_of_profiles
from phenolake.importing.sources import KINDS, detect_kinds, files_of
from phenolake.lake import Commit, Lake
from phenolake.segmentation.object_flags import flag_objects
from phenolake.segmentation.objects import describe_objects
from phenolake.tables import (
    NORMALIZED_PROFILES,
    OBJECTS,
    PLATE_MAP,
    QUARANTINE,
    SEGMENTATION_MASKS,
    SINGLE_CELL_FEATURES,
    WELL_PROFILES,
    Table,
)

_PROFILE_TABLES = {table.name: table for table in (WELL_PROFILES, NORMALIZED_PROFILES)}


@dataclass(frozen=True)
class Imported:
    """One plate's rows in one table: the commit, where they came from, and what was refused."""

    key: PlateKey
    commit: Commit
    kind: str
    source: Path
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Options:
    """How to read a source; see `import_source`."""

    plate: str | None = None
    batch: str | None = None
    table: str | None = None
    pattern: str | None = None
    unmatched: Unmatched = "report"
    probabilities: ProbabilityRule = field(default_factory=ProbabilityRule)


def import_source(
    lake: Lake,
    source: Path,
    screen: str,
    kind: str | None = None,
    options: Options | None = None,
    *,
    run_id: str | None = None,
) -> Iterator[Imported]:
    """Import every plate of a folder or file; yields each plate and table as it is committed.

    Values are those of the source: float32 for cells, float64 for profiles. Importing again
    replaces the plates; the versions before are kept. Cells and profiles carry their file in
    Metadata_ImportedFrom; the commit names the source.

    Parameters
    ----------
    lake
        Where the tables are written.
    source
        Folder or file; kinds are those of `KINDS`, detected when `kind` is None.
    screen
        Screen the plates belong to.
    options
        `plate` names a plate that the source does not name, `batch` its batch, `table` the
        profile table (well_profiles or normalized_profiles), `pattern` places label images,
        `unmatched` keeps or only reports nuclei without a cell, `probabilities` turns probability
        maps into objects.

    Raises
    ------
    ImportSourceError
        If there is nothing to import, or a file as a whole can't be understood.
    """
    checked_name("screen", screen)
    if kind is not None and kind not in KINDS:
        raise UnknownNameError("kind of source", kind, KINDS)
    source = source.expanduser().resolve()
    options = options or Options()
    kinds = detect_kinds(source)
    if kind is not None and kind != "masks" and kind not in kinds:
        raise ImportSourceError(source, f"holds no {KINDS[kind]}")
    writer = _Writer(lake, source, screen, options, run_id or uuid.uuid4().hex)
    for each in [kind] if kind else kinds:
        yield from writer.imported(each)


@dataclass(frozen=True)
class _Writer:
    lake: Lake
    source: Path
    screen: str
    options: Options
    run_id: str

    def imported(self, kind: str) -> Iterator[Imported]:
        """Plates of one kind."""
        plate = self.options.plate or _plate_name(self.source)
        if kind == "masks":
            chosen = (self.options.pattern, self.options.probabilities)
            for masks in plates_of_masks(self.source, plate, *chosen):
                yield from self._masks(masks)
        elif kind == "profiles":
            table = None
            if self.options.table is not None:
                if self.options.table not in _PROFILE_TABLES:
                    raise UnknownNameError("profile table", self.options.table, _PROFILE_TABLES)
                table = _PROFILE_TABLES[self.options.table]
            for profiles in plates_of_profiles(list(files_of(self.source, kind)), table):
                yield from self._profiles(profiles)
        else:
            exports: Sequence[Any]
            if kind == "cellprofiler_csv":
                folder = self.source if self.source.is_dir() else self.source.parent
                exports = list(csv_exports(folder, plate))
            else:
                exports = [
                    database_export(path, self.options.plate or path.stem)
                    for path in files_of(self.source, kind)
                ]
            for cells in plates_of_cells(exports):
                yield self._cells(cells, kind)

    def _cells(self, plate: PlateOfCells, kind: str) -> Imported:
        problems = list(plate.faults)
        chosen = (self.options.unmatched, self.options.batch)
        try:
            rows = plate.rows(problems, *chosen)
            commit = self._write(SINGLE_CELL_FEATURES, plate.plate, rows, kind)
        except OutOfOrderError:
            problems[:] = plate.faults
            rows = plate.rows(problems, *chosen, in_order=True)
            commit = self._write(SINGLE_CELL_FEATURES, plate.plate, rows, kind)
        return self._done(commit, plate.plate, kind, self.source, problems)

    def _masks(self, plate: PlateOfMasks) -> Iterator[Imported]:
        problems = list(plate.faults)
        schema = SEGMENTATION_MASKS.arrow_schema()
        where = PlateKey(self.screen, plate.plate).where
        described: list[pl.DataFrame] = []

        def batches() -> Iterator[pa.RecordBatch]:
            for place, masks in plate.sites(problems):
                keys = {**where, "Metadata_Batch": self.options.batch}
                rows = [{**keys, **row} for row in plate.rows(place, masks)]
                site = {**keys, "Metadata_Well": place[0], "Metadata_Site": place[1]}
                described.append(describe_objects(masks).with_columns(
                    pl.lit(value).alias(name) for name, value in site.items()
                ))  # fmt: skip
                yield pa.RecordBatch.from_pylist(rows, schema=schema)

        commit = self._write(SEGMENTATION_MASKS, plate.plate, batches(), "masks")
        yield self._done(commit, plate.plate, "masks", self.source, problems)
        # Without images: sizes, shapes, borders and parents. The asset `objects` adds the rest.
        rows = [flag_objects(pl.concat(described, how="vertical_relaxed"))] if described else []
        commit = self._write(OBJECTS, plate.plate, rows, "masks")
        yield self._done(commit, plate.plate, "masks", self.source, [])

    def _profiles(self, plate: PlateOfProfiles) -> Iterator[Imported]:
        commit = self._write(plate.table, plate.plate, plate.rows, "profiles", plate.source)
        yield self._done(commit, plate.plate, "profiles", plate.source, plate.faults)
        if not self._has_plate_map(plate.plate):
            declared = [c.name for c in PLATE_MAP.columns if c.name in plate.rows.columns]
            wells = plate.rows.select(declared).unique(
                "Metadata_Well", keep="first", maintain_order=True
            )
            commit = self._write(PLATE_MAP, plate.plate, wells, "profiles", plate.source)
            yield self._done(commit, plate.plate, "profiles", plate.source, [])

    def _write(
        self, table: Table, plate: str, rows: Any, kind: str, source: Path | None = None
    ) -> Commit:
        parameters = {
            "imported_from": str(source or self.source),
            "kind": kind,
            "nuclei_without_cell": self.options.unmatched,
        }
        return self.lake.write(
            table,
            rows,
            PlateKey(self.screen, plate).where,
            run_id=self.run_id,
            code_version=__version__,
            parameters=parameters,
        )

    def _done(
        self, commit: Commit, plate: str, kind: str, source: Path, problems: Sequence[Problem]
    ) -> Imported:
        key = PlateKey(self.screen, plate)
        where = {**key.where, "stage": commit.table}
        if problems or self._quarantined(key, commit.table):
            rows = quarantine_rows(list(problems), key, commit.table, self.run_id)
            self.lake.write(QUARANTINE, rows, where, run_id=self.run_id, code_version=__version__)
        return Imported(key, commit, kind, source, tuple(problems))

    def _quarantined(self, key: PlateKey, stage: str) -> bool:
        if not self.lake.exists(QUARANTINE.name):
            return False
        return stage in self.lake.read(QUARANTINE.name, key.where, columns=["stage"])["stage"]

    def _has_plate_map(self, plate: str) -> bool:
        if not self.lake.exists(PLATE_MAP.name):
            return False
        where = PlateKey(self.screen, plate).where
        return not self.lake.read(PLATE_MAP.name, where, columns=["Metadata_Well"]).is_empty()


def _plate_name(source: Path) -> str:
    return source.name.split(".")[0] if source.is_file() else source.name.removesuffix(".zarr")
