from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenolake.errors import ConfigurationError, WellNameError
from phenolake.identity import (
    PLATE_FORMATS,
    PlateKey,
    Well,
    checked_name,
    row_letters,
    row_number,
    smallest_format,
    wells_of_format,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [("A01", "A01"), ("b3", "B03"), ("P24", "P24"), ("AF48", "AF48"), ("c007", "C07")],
)
def test_well_names_are_read_in_the_forms_that_files_use(text: str, name: str) -> None:
    assert Well.parse(text).name == name


@pytest.mark.parametrize("text", ["", "A", "01", "A00", "A49", "AG01", "A1B", "ZZ99", "A123"])
def test_what_is_no_well_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(WellNameError, match="well"):
        Well.parse(text)


@given(st.integers(1, 32), st.integers(1, 48))
def test_a_wells_name_reads_back_as_the_same_well(row: int, column: int) -> None:
    assert Well.parse(Well(row, column).name) == Well(row, column)


@given(st.integers(1, 700))
def test_row_letters_and_numbers_are_inverse(row: int) -> None:
    assert row_number(row_letters(row)) == row


@pytest.mark.parametrize("wells", PLATE_FORMATS)
def test_each_format_is_the_smallest_for_all_its_wells(wells: int) -> None:
    positions = wells_of_format(wells)
    assert len(positions) == wells
    assert smallest_format(positions) == wells


@given(st.text(max_size=40), st.text(max_size=40))
def test_partition_keys_read_back_or_the_name_is_refused(screen: str, plate: str) -> None:
    try:
        key = PlateKey(checked_name("screen", screen), checked_name("plate", plate))
    except ConfigurationError:
        return
    assert PlateKey.parse(str(key)) == key


@pytest.mark.parametrize(
    "name", ["", "a/b", "../x", ".hidden", "_truth", "a__b", "it's", "a\nb", "x" * 129]
)
def test_names_that_could_leave_a_folder_or_a_query_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="plate name"):
        checked_name("plate", name)
