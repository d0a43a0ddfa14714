"""File names that instruments and labs give their images, as regular expressions with named groups."""

from __future__ import annotations

_TIFF = r"\.(?i:tiff?)"
_ANY = r"\.(?i:tiff?|png)"

#: Patterns tried, in this order, on folders that come without one.
KNOWN_PATTERNS: dict[str, str] = {
    "Phenix/Operetta names": (
        r"r(?P<row>\d{2})c(?P<column>\d{2})f(?P<site>\d+)p(?P<z>\d+)-ch(?P<channel>\d+)"
        r"(?:(?:sk|t)(?P<t>\d+))?[^/]*" + _TIFF
    ),
    "CellVoyager names": (
        r"(?:.*_)?(?P<well>[A-P]\d{2})_T(?P<t>\d{4})F(?P<site>\d{3})L\d{2}A\d{2}Z(?P<z>\d{2})"
        r"C(?P<channel>\d{2})" + _ANY
    ),
    "well_site_channel with keys": (
        r"(?:.*?[_/])??(?P<well>[A-P]\d{2})(?:_[A-Z]\d+)*_s(?P<site>\d+)_w(?:\d+_)?(?P<channel>[A-Za-z0-9]+)"
        r"(?:_z(?P<z>\d+))?(?:_t(?P<t>\d+))?" + _ANY
    ),
    "InCell names": (
        r"(?P<row>[A-P]) - (?P<column>\d{1,2})\(fld (?P<site>\d+) wv (?P<channel>[^()]*?)"
        r"(?: z (?P<z>\d+))?(?: time (?P<t>\d+)[^()]*)?\)" + _TIFF
    ),
    "Cytation names": (
        r"(?P<well>[A-P]\d{1,2})_-?\d+_\d+_(?P<site>\d+)_(?P<channel>[^_/]+)_(?P<t>\d{3})" + _TIFF
    ),
    "CellProfiler example names": (
        r"Channel(?P<channel>\d+)-\d+-(?P<row>[A-P])-(?P<column>\d{2})" + _TIFF
    ),
    "row, column, field, dye": (r".*_(?P<well>[A-P]\d{2})f(?P<site>\d+)d(?P<channel>\d)" + _TIFF),
    "well, site, channel joined by underscores": (
        r"(?:.*[_/])?(?P<well>[A-Pa-p]\d{1,2})_(?P<site>\d+)_(?P<channel>[^_/]+)" + _ANY
    ),
    "column and row": r"(?P<column>\d{2})(?P<row>[A-P])" + _TIFF,
    "row and column": r"(?P<well>[A-P]\d{2})" + _TIFF,
}

#: Patterns without a well, tried when none of the above fits a single file.
WITHOUT_WELL: dict[str, str] = {
    "number and channel, no well": r"(?P<site>\d+)--C(?P<channel>\d+)" + _TIFF,
    "numbered frames, no well": r"[^/]*[_-](?P<t>\d{3,6})" + _ANY,
}
