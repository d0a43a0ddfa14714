from __future__ import annotations

import itertools
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from importing.exports import write_csv
from phenolake.errors import ImportSourceError
from phenolake.importing.keyed_rows import KeyedRows, concatenated
from phenolake.importing.object_tables import CsvTable
from phenolake.importing.sorted_rows import sorted_by_image

ROWS = st.lists(st.tuples(st.integers(1, 9) | st.none(), st.integers(1, 4)), max_size=60)


def rows_of(keys: list[tuple[int | None, int]]) -> KeyedRows:
    """Rows whose value is their place in the source."""
    schema = {"image": pl.Int64, "object": pl.Int64}
    frame = pl.DataFrame(keys, schema=schema, orient="row")
    frame = frame.with_columns(pl.int_range(pl.len()).alias("value"))
    return KeyedRows.of(frame.to_arrow())


@given(ROWS, st.integers(1, 20), st.integers(100, 5000), st.integers(1, 5000))
@settings(max_examples=30, deadline=None)
def test_runs_of_any_size_are_sorted_as_all_rows_at_once(
    keys: list[tuple[int | None, int]], step: int, run_bytes: int, piece_bytes: int
) -> None:
    rows = rows_of(keys)
    blocks = (rows.slice(start, step) for start in range(0, len(keys), step))
    pieces = list(sorted_by_image(blocks, run_bytes=run_bytes, piece_bytes=piece_bytes))
    got = [row for piece in pieces for row in piece.table().to_pylist()]
    expected = [row for row in rows.table().to_pylist() if row["image"] is not None]
    assert got == sorted(expected, key=lambda row: (row["image"], row["object"]))
    for before, after in itertools.pairwise(pieces):
        assert before.keys["image"][-1] < after.keys["image"][0]


def test_a_piece_holds_one_image_where_more_would_be_too_large() -> None:
    keys = [(image, number) for number in range(50) for image in (3, 1, 2)]
    pieces = list(sorted_by_image(iter([rows_of(keys)]), piece_bytes=1))
    assert [piece.keys["image"].unique().to_list() for piece in pieces] == [[1], [2], [3]]


def test_a_column_that_some_runs_lack_is_null_there() -> None:
    first = rows_of([(2, 1)])
    second = KeyedRows(first.keys.with_columns(pl.lit(1, pl.Int64).alias("image")),
                       pa.table({"value": [7], "more": [1.5]}))  # fmt: skip
    (piece,) = sorted_by_image(iter([first, second]), run_bytes=1)
    assert piece.table().column("more").to_pylist() == [1.5, None]


def test_rows_side_by_side_and_one_after_another_keep_their_keys() -> None:
    rows = rows_of([(1, 1), (1, 2), (2, 1)])
    again = concatenated([rows.slice(0, 1), rows.slice(1)])
    assert again.table().to_pylist() == rows.table().to_pylist()
    taken = rows.take(pl.Series([2, None, 0], dtype=pl.Int64))
    assert taken.table().to_pylist() == [
        {"image": 2, "object": 1, "value": 2},
        {"image": None, "object": None, "value": None},
        {"image": 1, "object": 1, "value": 0},
    ]


def test_a_full_temporary_folder_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv(tmp_path / "Cells.csv", [["ImageNumber", "ObjectNumber"], [2, 1], [1, 1]])

    def full(*_: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pa, "OSFile", full)
    table = CsvTable("Cells", path, ("ImageNumber", "ObjectNumber"))
    with pytest.raises(ImportSourceError, match=r"can't be sorted in .*: No space left"):
        list(table.frames(in_order=True))
