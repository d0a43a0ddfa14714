"""One version of one Delta table: its schema, its active files and the columns each holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as arrow_fs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from phenolake.errors import LakeError, TableSchemaError
from phenolake.lake.location import Location
from phenolake.lake.parquet_parts import signature, signature_of
from phenolake.tables import TABLES

if TYPE_CHECKING:
    import pyarrow.dataset as arrow_dataset

#: Column names by signature; a signature names its columns, so this never goes stale.
_COLUMNS: dict[str, tuple[str, ...]] = {}


@dataclass(frozen=True)
class FileGroup:
    """Active files with the same columns; `hive` if their folders tell the partition exactly."""

    columns: tuple[str, ...]
    hive: bool
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Snapshot:
    """A Delta table held at one version."""

    location: Location
    layer: str
    name: str
    delta: DeltaTable

    @classmethod
    def open(
        cls, location: Location, layer: str, name: str, version: int | None = None
    ) -> Snapshot | None:
        """Open the newest or a given version; None when the table does not exist.

        Raises
        ------
        LakeError
            If the table has no such version.
        """
        uri = f"{location.uri}/{layer}/{name}"
        try:
            delta = DeltaTable(uri, version=version, storage_options=dict(location.options))
        except TableNotFoundError:
            return None
        except DeltaError as error:
            if version is None:
                raise
            newest = DeltaTable(uri, storage_options=dict(location.options)).version()
            raise LakeError(
                f"table {name!r} can't be read at version {version}; its newest version is {newest}"
            ) from error
        return cls(location, layer, name, delta)

    @property
    def version(self) -> int:
        """Delta version."""
        return self.delta.version()

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns of the table, then declared ones that it was written without."""
        stored = pa.schema(self.delta.schema().to_arrow())
        declared = TABLES.get(self.name)
        newer = declared.arrow_schema() if declared and declared.layer == self.layer else ()
        return pa.schema([*stored, *(f for f in newer if f.name not in stored.names)])

    @cached_property
    def partition_columns(self) -> list[str]:
        """Columns that the table is partitioned by."""
        return list(self.delta.metadata().partition_columns)

    @property
    def uri(self) -> str:
        """URI of the table."""
        return f"{self.location.uri}/{self.layer}/{self.name}"

    @cached_property
    def filesystem(self) -> arrow_fs.FileSystem:
        """File system rooted at the table."""
        return self.location.filesystem(self.layer, self.name)

    def paths(self, where: Mapping[str, str] | None = None) -> list[str]:
        """Active files that can hold rows of `where`, relative to the table, in writing order."""
        actions = pa.table(self.delta.get_add_actions(flatten=True))
        for name, value in (where or {}).items():
            if name in self.partition_columns:
                actions = actions.filter(pc.equal(actions.column(f"partition.{name}"), value))
        # The log holds percent-encoded paths.
        return sorted(map(unquote, actions.column("path").to_pylist()))

    def groups(self, where: Mapping[str, str] | None = None) -> list[FileGroup]:
        """Active files by the columns they hold; reads one footer for each new set of columns."""
        found: dict[tuple[tuple[str, ...], bool], list[str]] = {}
        for path in self.paths(where):
            folders = [folder.partition("=")[0] for folder in path.split("/")[:-1]]
            hive = folders == self.partition_columns
            found.setdefault((self._columns_of(path), hive), []).append(path)
        return [FileGroup(columns, hive, tuple(paths)) for (columns, hive), paths in found.items()]

    def columns(self, where: Mapping[str, str] | None = None) -> list[str]:
        """Columns of the table that some file of `where` holds, in the table's order."""
        held = set(self.partition_columns)
        for group in self.groups(where):
            held.update(group.columns)
        return [name for name in self.schema.names if name in held]

    def dataset(self, where: Mapping[str, str] | None = None) -> arrow_dataset.Dataset:
        """Arrow dataset over the files that can hold rows of `where`, in writing order."""
        import pyarrow.dataset as arrow_dataset

        wanted = frozenset(self.paths(where))
        whole = self.delta.to_pyarrow_dataset(filesystem=self.filesystem)
        fragments = [f for f in whole.get_fragments() if f.path in wanted]
        return arrow_dataset.FileSystemDataset(
            sorted(fragments, key=lambda fragment: fragment.path),
            self.schema,
            whole.format,
            self.filesystem,
        )

    def check_columns(self, names: Sequence[str]) -> None:
        """Refuse names that are no column of this table; offers the closest."""
        for name in names:
            if name not in self.schema.names:
                close = get_close_matches(name, self.schema.names, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise TableSchemaError(self.name, f"no column {name!r}{hint}")

    def _columns_of(self, path: str) -> tuple[str, ...]:
        named = signature_of(path)
        if named in _COLUMNS:
            return _COLUMNS[named]
        with self.filesystem.open_input_file(path) as source:
            columns = tuple(pq.read_schema(source).names)
        if named == signature(columns):
            _COLUMNS[named] = columns
        return columns
