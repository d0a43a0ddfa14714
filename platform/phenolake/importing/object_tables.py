"""Tables with a row per object (one compartment), as streams of rows in image order.

Keys and numbers of objects are int64, features float32 and named by compartment.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from phenolake.errors import ImportSourceError
from phenolake.importing.csv_blocks import Faults, header_lines, number_blocks
from phenolake.importing.keyed_rows import IMAGE, OBJECT, KeyedRows, parent_column
from phenolake.importing.sorted_rows import sorted_by_image

_KEYS = {"ImageNumber": IMAGE, "ObjectNumber": OBJECT}
_NOT_IN_DELTA = re.compile(r"[ ,;{}()=\x00-\x1f]+")
_PARENT = re.compile(r"Parent_(\w+)")


class ObjectTable(Protocol):
    """One compartment of an export."""

    @property
    def compartment(self) -> str:
        """Nuclei, Cells, Cytoplasm or another name."""
        ...

    @property
    def origin(self) -> str:
        """File, or database and table."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names as in the source, without the compartment's prefix."""
        ...

    @property
    def faults(self) -> Faults:
        """What could not be read so far."""
        ...

    def frames(self, *, in_order: bool = False) -> Iterator[KeyedRows]:
        """Rows in pieces; `in_order` sorts a table that is not in image order.

        Raises
        ------
        ImportSourceError
            If the table ends too early or is damaged; what came before is sound.
        """
        ...


@dataclass
class CsvTable:
    """A CSV of one compartment, or its share of a CSV with two header rows.

    `positions` maps column names to their place in the file; None means all columns.
    """

    compartment: str
    path: Path
    columns: tuple[str, ...]
    header_rows: int = 1
    places: tuple[int, ...] = ()
    width: int = 0
    faults: Faults = field(default_factory=Faults)

    @property
    def origin(self) -> str:
        """The file."""
        return str(self.path)

    def frames(self, *, in_order: bool = False) -> Iterator[KeyedRows]:
        """Rows in pieces; `in_order` sorts, through temporary files of the size of the numbers."""
        frames = self._frames()
        try:
            yield from sorted_by_image(frames) if in_order else frames
        except OSError as error:
            raise ImportSourceError(
                self.path, f"can't be sorted in {tempfile.gettempdir()}: {error.strerror}"
            ) from error

    def _frames(self) -> Iterator[KeyedRows]:
        places = self.places or tuple(range(len(self.columns)))
        # Unique names for the parser; columns of other compartments are parsed and dropped.
        parser_names = [f"c{i}" for i in range(self.width or len(self.columns))]
        wanted: dict[str, str] = {}
        for place, name in zip(places, self.columns, strict=True):
            target = placed_name(self.compartment, name)
            if target not in wanted.values():
                wanted[parser_names[place]] = target

        def typed_rows(table: pa.Table) -> KeyedRows:
            arrays = [table.column(place).cast(_dtype(name), safe=False) for place, name in kept]
            return KeyedRows.of(pa.Table.from_arrays(arrays, names=[name for _, name in kept]))

        kept = [(int(parsed[1:]), name) for parsed, name in wanted.items()]
        for frame in number_blocks(
            self.path, parser_names, self.header_rows, self.faults, typed_rows
        ):
            text = [wanted[name] for name in self.faults.text_columns if name in wanted]
            if IMAGE in text or OBJECT in text:
                raise ImportSourceError(self.path, "has no numbers in ImageNumber or ObjectNumber")
            yield frame.drop(text) if text else frame
        self.faults.text_columns = {wanted.get(name, name) for name in self.faults.text_columns}
        for name in list(self.faults.not_numbers):
            self.faults.not_numbers[wanted.get(name, name)] = self.faults.not_numbers.pop(name)


def csv_tables(path: Path, compartments: Mapping[str, str]) -> list[CsvTable]:
    """The compartments in a CSV file; `compartments` maps lower-case names to ours.

    A file named for a compartment is one; a file with two header rows holds several.

    Raises
    ------
    ImportSourceError
        If the file is empty, or has no columns ImageNumber and ObjectNumber.
    """
    lines = header_lines(path, 2)
    if not lines or not any(lines[0]):
        raise ImportSourceError(path, "the file is empty")
    if len(lines) == 2 and {"ImageNumber", "ObjectNumber"} <= set(lines[1]):
        return _two_header_tables(path, lines, compartments)
    if not {"ImageNumber", "ObjectNumber"} <= set(lines[0]):
        raise ImportSourceError(path, "has no columns ImageNumber and ObjectNumber")
    stem = path.name.split(".")[0].casefold()
    return [CsvTable(compartments.get(stem, path.name.split(".")[0]), path, tuple(lines[0]))]


def _two_header_tables(
    path: Path, lines: list[list[str]], compartments: Mapping[str, str]
) -> list[CsvTable]:
    groups: dict[str, list[int]] = {}
    # What has a group and no name, or a name and no group, is no column.
    for place, group in enumerate(lines[0][: len(lines[1])]):
        groups.setdefault(group, []).append(place)
    names = lines[1]
    image = names.index("ImageNumber")
    number = names.index("ObjectNumber")
    tables = []
    for group, places in groups.items():
        if group.casefold() == "image":
            continue
        keyed = [image, *([] if number in places else [number]), *places]
        tables.append(
            CsvTable(
                compartments.get(group.casefold(), group),
                path,
                tuple(names[place] for place in keyed),
                header_rows=2,
                places=tuple(keyed),
                width=len(names),
            )
        )
    return tables


def is_feature(name: str) -> bool:
    """Tell a measurement from a key, an object number or a link between objects."""
    return name not in _KEYS and not name.startswith(
        ("Parent_", "Number_Object_Number", "Metadata_")
    )


def placed_name(compartment: str, name: str) -> str:
    """Our name of a source column: a key, a parent, `Metadata_...` or `<Compartment>_...`."""
    if name in _KEYS:
        return _KEYS[name]
    name = _NOT_IN_DELTA.sub("_", name)
    if parent := _PARENT.fullmatch(name):
        return parent_column(parent[1])
    if not is_feature(name):
        return f"Metadata_{compartment}_{name.removeprefix('Metadata_')}"
    return f"{compartment}_{name}"


def _dtype(name: str) -> pa.DataType:
    """Links and numbers as int64; features as float32, rounded from float64 as readers do."""
    is_whole = name in (IMAGE, OBJECT) or name.startswith(("parent_", "Metadata_"))
    return pa.int64() if is_whole else pa.float32()
