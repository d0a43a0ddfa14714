"""Compare image files with what the catalogue says of them: presence, size and checksum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from phenolake.images.pixels import file_checksum
from phenolake.images.readers.base import map_files
from phenolake.images.readers.ome_zarr import folder_bytes
from phenolake.images.stored import stored_size


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that is not what the catalogue says."""

    screen: str
    plate: str
    uri: str
    what: str
    expected: str
    got: str

    def sentence(self) -> str:
        """The difference as one line."""
        return f"{self.screen} {self.plate} {self.uri}: {self.what}: expected {self.expected}, got {self.got}"


def differences(catalog: pl.DataFrame, *, sizes_only: bool = False) -> Iterator[Difference]:
    """Files of a catalogue that are absent or changed, in the order of plate and path.

    Bytes are read where the catalogue has a checksum, unless `sizes_only`. Of files that are only in
    an object store the size is compared.
    """
    columns = ["Metadata_Screen", "Metadata_Plate", "uri", "bytes", "checksum", "origin"]
    files = catalog.select(columns).unique("uri", keep="first").sort(columns[:3])
    for found in map_files(partial(_difference, sizes_only=sizes_only), files.iter_rows()):
        if found is not None:
            yield found


def _difference(
    row: tuple[str, str, str, int, str | None, str | None], *, sizes_only: bool
) -> Difference | None:
    screen, plate, uri, size, checksum, origin = row
    path = Path(uri)

    def differs(what: str, expected: str, got: str) -> Difference:
        return Difference(screen, plate, uri, what, expected, got)

    try:
        if origin is not None and not path.exists():  # released here; its bytes are in the store
            now = stored_size(origin)
            if now != size:
                return differs("size in the store", f"{size:,} bytes", f"{now:,} bytes")
            return None
        if path.is_symlink():
            return differs("replaced", "a file", "a link")
        now = folder_bytes(path) if path.is_dir() else path.stat().st_size
        if now != size:
            return differs("size", f"{size:,} bytes", f"{now:,} bytes")
        if checksum is None or sizes_only or path.is_dir():
            return None
        value = file_checksum(path)
        return None if value == checksum else differs("checksum", checksum, value)
    except FileNotFoundError:
        return differs("missing", f"a file of {size:,} bytes", "no such file")
    except OSError as error:
        return differs("unreadable", f"a file of {size:,} bytes", error.strerror or str(error))
