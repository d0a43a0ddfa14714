"""What MetaMorph and MetaXpress write into a TIFF's description: properties of one plane."""

from __future__ import annotations

import re
from datetime import datetime
from xml.sax.saxutils import unescape

from phenolake.images.readers.base import moment, number

_PROPERTY = re.compile(r'<(?:custom-)?prop id="([^"]*)" type="[^"]*" value="([^"]*)"')
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


def plane_properties(description: str) -> dict[str, str]:
    """Properties by id, such as `z-position`; empty where the text is no MetaSeries XML.

    The text is one element with its attributes in one order per property, so no parser is needed.
    """
    if not description.lstrip().startswith("<MetaData>"):
        return {}
    return {
        name: unescape(value) if "&" in value else value
        for name, value in _PROPERTY.findall(description)
    }


def acquired_at(properties: dict[str, str]) -> datetime | None:
    """Local time of acquisition; the format has no time zone."""
    return moment(properties.get("acquisition-time-local"))


def exposure_ms(properties: dict[str, str]) -> float | None:
    """Exposure from texts such as `15 ms` or `0.1 s`."""
    text = properties.get("Exposure Time", "")
    found = _NUMBER.search(text)
    return number(found[0], 1000 if text.strip().endswith(" s") else 1) if found else None


def pixel_size_um(properties: dict[str, str]) -> float | None:
    """Pixel size if the plane is calibrated in um."""
    is_calibrated = properties.get("spatial-calibration-state") in ("on", "true", "True", "1")
    size = number(properties.get("spatial-calibration-x"))
    return size if is_calibrated and properties.get("spatial-calibration-units") == "um" else None
