"""What pages and the service read from the lake; small parts are kept until the table changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import polars as pl

from phenolake.errors import NotFoundError, PhenolakeError, TableMissingError
from phenolake.identity import Well
from phenolake.lake import Lake
from phenolake.profiling.feature_matrix import METADATA
from phenolake.tables import TABLES

_KEPT_BYTES = 512 * 2**20


class LakeReader:
    """Parts of a lake's tables by screen, plate and well; several threads may share one.

    Parameters
    ----------
    lake
        The lake; nothing is ever written to it.
    """

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._kept: OrderedDict[tuple[object, ...], pl.DataFrame] = OrderedDict()
        self._lock = Lock()

    def read(
        self,
        table: str,
        where: Mapping[str, str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Rows of a table; none, with the declared columns, where it does not exist yet."""
        try:
            version = self.lake.version(table)
        except TableMissingError:
            declared = TABLES.get(table)
            return (
                pl.DataFrame(declared.arrow_schema().empty_table()) if declared else pl.DataFrame()
            )
        key = (table, version, tuple(sorted((where or {}).items())), tuple(columns or ()))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        rows = self.lake.read(table, where, version, columns)
        with self._lock:
            self._kept[key] = rows
            while len(self._kept) > 1 and self._size() > _KEPT_BYTES:
                self._kept.popitem(last=False)
        return rows

    def part(
        self,
        table: str,
        where: Mapping[str, str],
        columns: Sequence[str] | None,
        limit: int,
        offset: int,
        well: str | None = None,
    ) -> tuple[pl.DataFrame, int]:
        """Some rows of a table, and how many there are in all; only those rows are read.

        Packed images are left out unless `columns` names them.

        Raises
        ------
        NotFoundError
            If the table has no such column.
        """
        try:
            rows = self.lake.scan(table, where)
        except LookupError:
            rows = self.read(table, where).lazy()
        schema = rows.collect_schema()
        names = list(dict.fromkeys(columns)) if columns else [
            name for name, dtype in schema.items() if dtype != pl.Binary
        ]  # fmt: skip
        if unknown := [name for name in names if name not in schema]:
            raise NotFoundError("column", unknown[0], f"table {table}")
        if well is not None:
            rows = rows.filter(pl.col("Metadata_Well") == well_name(well))
        total = int(rows.select(pl.len()).collect().item())
        return rows.select(names).slice(offset, limit).collect(), total

    def _size(self) -> int:
        return sum(int(rows.estimated_size()) for rows in self._kept.values())

    def screens(self) -> list[str]:
        """Names of the screens that have plates."""
        return self._names("Metadata_Screen", None)

    def plates(self, screen: str) -> list[str]:
        """Names of a screen's plates; `NotFoundError` if there is no such screen."""
        plates = self._names("Metadata_Plate", {"Metadata_Screen": screen})
        if not plates:
            raise NotFoundError("screen", screen)
        return plates

    def plate(self, screen: str, plate: str) -> dict[str, str]:
        """The Delta partition of a plate; `NotFoundError` if there is no such plate."""
        if plate not in self.plates(screen):
            raise NotFoundError("plate", plate, f"screen {screen}")
        return {"Metadata_Screen": screen, "Metadata_Plate": plate}

    def _names(self, column: str, where: Mapping[str, str] | None) -> list[str]:
        found: set[str] = set()
        for table in ("raw_image_catalog", "well_profiles", "normalized_profiles"):
            rows = self.read(table, where, [column])
            if not rows.is_empty():
                found |= set(rows[column].unique())
        return sorted(found)

    def wells(self, screen: str, plate: str) -> pl.DataFrame:
        """A row per well with the plate map's columns and those of the profile, if there is one."""
        where = self.plate(screen, plate)
        keys = ["Metadata_Screen", "Metadata_Plate", "Metadata_Well"]
        profiles = self.read("well_profiles", where)
        if profiles.is_empty():
            profiles = self.read("normalized_profiles", where).unique(keys, maintain_order=True)
        plate_map = self.read("plate_map", where)
        imaged = self.read("raw_image_catalog", where, keys).unique()
        profiled = set(profiles.columns)
        known = [name for name in plate_map.columns if name not in profiled]
        wells = pl.concat([imaged.select(keys), profiles.select(keys)]).unique()
        if profiles.is_empty():
            return wells.join(plate_map, on=keys, how="left").sort("Metadata_Well")
        missing = wells.join(profiles, on=keys, how="anti").join(plate_map, on=keys, how="left")
        profiles = profiles.join(plate_map.select(*keys, *known), on=keys, how="left")
        return pl.concat([profiles, missing], how="diagonal_relaxed").sort("Metadata_Well")

    def screen_wells(self, screen: str) -> pl.DataFrame:
        """The wells of all plates of a screen, as `wells` returns them."""
        wells = [self.wells(screen, plate) for plate in self.plates(screen)]
        return pl.concat(wells, how="diagonal_relaxed")

    def well(self, screen: str, plate: str, well: str) -> dict[str, Any]:
        """The row of one well; `NotFoundError` if the plate has none of that name."""
        name = well_name(well)
        rows = self.wells(screen, plate).filter(pl.col("Metadata_Well") == name)
        if rows.is_empty():
            raise NotFoundError("well", name, f"plate {plate}")
        return rows.row(0, named=True)

    def mart(self, name: str, screen: str | None = None) -> pl.DataFrame:
        """Rows of a mart, of one screen if it is given; none if it was not built yet."""
        rows = self.read(name)
        if screen is None or "Metadata_Screen" not in rows.columns:
            return rows
        return rows.filter(pl.col("Metadata_Screen") == screen)


def well_name(text: str) -> str:
    """Name of a well as tables write it; `NotFoundError` for anything else."""
    try:
        return Well.parse(text).name
    except PhenolakeError as error:
        raise NotFoundError("well", text) from error


def value_columns(wells: pl.DataFrame) -> list[str]:
    """Columns of a table of wells that hold numbers to look at, metadata first."""
    numbers = [name for name, dtype in wells.schema.items() if dtype.is_numeric()]
    return sorted(numbers, key=lambda name: (not name.startswith(METADATA), name))
