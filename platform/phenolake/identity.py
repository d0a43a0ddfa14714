"""Names of things: wells, plates and the keys that every table shares.

Well names are row letters and a two-digit column (`A01` ... `AF48`); partition keys are
`<screen>__<plate>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from phenolake.errors import ConfigurationError, WellNameError

SCREEN = "Metadata_Screen"
BATCH = "Metadata_Batch"
PLATE = "Metadata_Plate"
WELL = "Metadata_Well"
SITE = "Metadata_Site"
OBJECT = "Metadata_ObjectNumber"

#: Wells to (rows, columns), the ANSI/SLAS microplate formats.
PLATE_FORMATS: dict[int, tuple[int, int]] = {
    6: (2, 3),
    12: (3, 4),
    24: (4, 6),
    48: (6, 8),
    96: (8, 12),
    384: (16, 24),
    1536: (32, 48),
}

_WELL = re.compile(r"([A-Za-z]{1,2})0*(\d{1,2})")
_PARTITION_SEPARATOR = "__"


@dataclass(frozen=True, order=True)
class Well:
    """A position on a plate; `row` and `column` count from 1."""

    row: int
    column: int

    @classmethod
    def parse(cls, text: str) -> Well:
        """Read `b3`, `B03`, `AF48` or `B003`.

        Raises
        ------
        WellNameError
            If the text is no well name or lies outside a 1536-well plate.
        """
        match = _WELL.fullmatch(text.strip())
        if match is None:
            raise WellNameError(text, "expected row letters and a column number, such as B03")
        return cls.checked(row_number(match[1]), int(match[2]), text)

    @classmethod
    def checked(cls, row: int, column: int, text: str | None = None) -> Well:
        """Make a well, refusing positions outside the largest plate (32 x 48)."""
        rows, columns = PLATE_FORMATS[1536]
        if not (1 <= row <= rows and 1 <= column <= columns):
            raise WellNameError(
                text or f"row {row}, column {column}", "outside a 1536-well plate (A01 to AF48)"
            )
        return cls(row, column)

    @property
    def name(self) -> str:
        """The well's canonical name, such as `B03`."""
        return f"{row_letters(self.row)}{self.column:02d}"

    def fits(self, wells: int) -> bool:
        """Tell whether a plate with so many wells has this position."""
        rows, columns = PLATE_FORMATS[wells]
        return self.row <= rows and self.column <= columns


def row_number(letters: str) -> int:
    """`A` is 1, `Z` is 26, `AA` is 27."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def row_letters(row: int) -> str:
    """1 is `A`, 26 is `Z`, 27 is `AA`."""
    letters = ""
    while row > 0:
        row, rest = divmod(row - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def wells_of_format(wells: int) -> list[Well]:
    """All wells of a plate format in row order."""
    rows, columns = PLATE_FORMATS[wells]
    return [Well(row, column) for row in range(1, rows + 1) for column in range(1, columns + 1)]


def smallest_format(wells: list[Well]) -> int:
    """The smallest plate format that has all these wells; 96 when there are none."""
    if not wells:
        return 96
    return next(size for size in PLATE_FORMATS if all(well.fits(size) for well in wells))


def checked_name(kind: str, name: str) -> str:
    """Refuse screen and plate names that can't be a folder, a key or an SQL value.

    Raises
    ------
    ConfigurationError
        If the name is empty, over 128 characters, starts with a dot or underscore, or holds a
        slash, a control character or the partition separator `__`.
    """
    printable = name.isprintable() and not any(char in name for char in "/\\\"'")
    if not name or len(name) > 128 or name[0] in "._ " or name[-1] == " " or not printable:
        raise ConfigurationError(
            f"{kind} name {name!r}: use 1 to 128 printable characters, no slash or quote, "
            "and no dot, underscore or space at the start"
        )
    if _PARTITION_SEPARATOR in name:
        raise ConfigurationError(f"{kind} name {name!r} must not contain '{_PARTITION_SEPARATOR}'")
    return name


@dataclass(frozen=True, order=True)
class PlateKey:
    """One plate of one screen; its text form is a Dagster partition key."""

    screen: str
    plate: str

    @classmethod
    def parse(cls, text: str) -> PlateKey:
        """Read `<screen>__<plate>`."""
        screen, separator, plate = text.partition(_PARTITION_SEPARATOR)
        if not separator:
            raise ConfigurationError(f"{text!r} is not <screen>__<plate>")
        return cls(screen, plate)

    def __str__(self) -> str:
        return f"{self.screen}{_PARTITION_SEPARATOR}{self.plate}"

    @property
    def where(self) -> dict[str, str]:
        """The Delta partition of this plate."""
        return {SCREEN: self.screen, PLATE: self.plate}
