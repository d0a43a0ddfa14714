"""CSV and CSV.gz files of numbers as a stream of Arrow tables, parsed in parallel, in bounded memory.

A row with the wrong number of fields is left out and counted; so is a field that is no number.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import IO, TypeVar

import pyarrow as pa
import pyarrow.csv as arrow_csv

from phenolake.errors import ImportSourceError

BLOCK_BYTES = 16 << 20
_LONGEST_LINE = 16 << 20
_AHEAD = 2

Result = TypeVar("Result")


@dataclass
class Faults:
    """What could not be read of one file: rows of the wrong width, and fields that are no number."""

    malformed_rows: int = 0
    not_numbers: Counter[str] = field(default_factory=Counter)
    text_columns: set[str] = field(default_factory=set)


def header_lines(path: Path, lines: int = 1) -> list[list[str]]:
    """Fields of the first lines; fewer when the file ends before.

    Raises
    ------
    ImportSourceError
        If the file can't be read or a line is longer than 16 MiB.
    """
    with _reading(path) as stream:
        found = []
        for _ in range(lines):
            line = _line(stream, path)
            if not line:
                break
            found.append(_fields(line, path))
        return found


def number_blocks(
    path: Path,
    names: Sequence[str],
    header_rows: int,
    faults: Faults,
    convert: Callable[[pa.Table], Result],
    *,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Result]:
    """Tables of about `block_bytes` of text each; column i is `names[i]`, float64.

    Each table goes through `convert` where it is parsed, in a thread. Empty fields are null and `nan`
    is NaN. Columns that hold text only are in
    `faults.text_columns` and all null.

    Raises
    ------
    ImportSourceError
        If the file can't be read to its end, such as a truncated gzip file; the blocks before have
        been yielded.
    """
    types = dict.fromkeys(names, pa.float64())

    def work(data: bytes) -> Result:
        try:
            return convert(_parsed(data, types, faults))
        except pa.ArrowException as error:
            raise ImportSourceError(path, f"is no table: {str(error).splitlines()[0]}") from error

    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(_AHEAD) as pool:
        try:
            for data in _blocks(path, header_rows, block_bytes):
                waiting.append(pool.submit(work, data))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
        except ImportSourceError:
            while waiting:
                yield waiting.popleft().result()
            raise
        while waiting:
            yield waiting.popleft().result()


def _parsed(data: bytes, types: dict[str, pa.DataType], faults: Faults) -> pa.Table:
    def malformed(_: object) -> str:
        faults.malformed_rows += 1
        return "skip"

    def parse(column_types: dict[str, pa.DataType], handler: object) -> pa.Table:
        return arrow_csv.read_csv(
            pa.BufferReader(data),
            arrow_csv.ReadOptions(
                column_names=list(types), use_threads=False, block_size=len(data) + 1
            ),
            arrow_csv.ParseOptions(invalid_row_handler=handler),
            arrow_csv.ConvertOptions(
                column_types=column_types,
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=False,
            ),
        )

    if not data.isascii():
        # Numbers are ASCII; the parser stumbles over bytes that are no UTF-8.
        data = data.decode("ascii", "replace").encode("ascii", "replace")
    if not data.strip():
        return pa.schema(types.items()).empty_table()
    before = faults.malformed_rows
    try:
        return parse(types, malformed)
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return pa.schema(types.items()).empty_table()
    # A field is no number: read text, and convert what can be.
    faults.malformed_rows = before
    text = parse(dict.fromkeys(types, pa.binary()), malformed)
    columns = [_numbers(text.column(i), name, faults) for i, name in enumerate(types)]
    return pa.Table.from_arrays(columns, names=list(types))


def _numbers(column: pa.ChunkedArray, name: str, faults: Faults) -> pa.ChunkedArray:
    try:
        return column.cast(pa.string()).cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        values = [_number(value) for value in column.to_pylist()]
    given = len(column) - column.null_count
    good = sum(value is not None for value in values)
    if good == 0 and name not in faults.not_numbers:
        faults.text_columns.add(name)
    else:
        faults.not_numbers[name] += given - good
    return pa.chunked_array([pa.array(values, pa.float64())])


def _number(value: bytes | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _blocks(path: Path, header_rows: int, block_bytes: int) -> Iterator[bytes]:
    """The file's text below its header, cut between lines."""
    with _reading(path) as stream:
        for _ in range(header_rows):
            _line(stream, path)
        while data := _read(stream, path, block_bytes):
            yield data + (b"" if data.endswith(b"\n") else _line(stream, path))


def _reading(path: Path) -> IO[bytes]:
    try:
        raw = path.open("rb")
    except OSError as error:
        raise ImportSourceError(path, f"can't be opened: {error.strerror}") from error
    if path.suffix.lower() == ".gz":
        return BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 20)
    return raw


def _read(stream: IO[bytes], path: Path, size: int) -> bytes:
    try:
        return stream.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise ImportSourceError(path, f"ends too early or is damaged: {error}") from error


def _line(stream: IO[bytes], path: Path) -> bytes:
    try:
        line = stream.readline(_LONGEST_LINE)
    except (OSError, EOFError, zlib.error) as error:
        raise ImportSourceError(path, f"ends too early or is damaged: {error}") from error
    if len(line) >= _LONGEST_LINE:
        raise ImportSourceError(path, "a line is longer than 16 MiB; this is no table")
    return line


def _fields(line: bytes, path: Path) -> list[str]:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = line.decode("latin-1")
    try:
        return [name.strip() for name in next(csv.reader([text.rstrip("\r\n")]), [])]
    except csv.Error as error:
        raise ImportSourceError(path, f"has no header line: {error}") from error
