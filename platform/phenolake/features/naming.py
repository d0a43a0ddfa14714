"""Feature names, built and read: <Compartment>_<Family>_<Measure>[_<Channel>][_<Parameters>]."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from phenolake.errors import ConfigurationError

_POSITION = re.compile(
    r"_(Location_.+|AreaShape_(Center|BoundingBox(Minimum|Maximum))_[XYZ]|Parent_.+|Number_.+)$"
)
#: Per family: pattern of the measure, whether channels follow, and of the parameters at the end.
_GRAMMAR: dict[str, tuple[str, bool, str]] = {
    "AreaShape": (r".+", False, r"(?<=_)\d(?:_\d)?"),
    "Intensity": (r"[^_]+", True, ""),
    "Location": (r"Center_[XYZ]$|[^_]+_[XYZ]|[^_]+", True, ""),
    "Texture": (r"[^_]+", True, r"\d+_\d{2}_\d+"),
    "Correlation": (r"[^_]+", True, ""),
    "RadialDistribution": (r"[^_]+", True, r"\d+of\d+|Overflow|\d+_\d+"),
    "SER": (r"[^_]+", True, r"\d+"),
    "Gabor": (r"[^_]+", True, r"\d+_\d{3}"),
    "ObjectSkeleton": (r"[^_]+", True, ""),
    "Granularity": (r"\d+", True, ""),
    "AreaOccupied": (r"[^_]+", False, r"[^_]+"),
    "Neighbors": (r"[^_]+", False, r"Adjacent|Expanded|\d+"),
    "Translocation": (r"[^_]+", True, ""),
}


@dataclass(frozen=True, order=True)
class FeatureName:
    """The parts of a feature's name; `str()` gives the column name.

    `measure` may hold an axis (`Center_X`). `channels` has two entries for correlations.
    """

    compartment: str
    family: str
    measure: str
    channels: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "_".join(
            (self.compartment, self.family, self.measure, *self.channels, *self.parameters)
        )

    @classmethod
    def parse(cls, text: str, channels: Collection[str] = ()) -> FeatureName:
        """Parts of a column name, ours or CellProfiler's.

        Families that are not ours come back whole: everything after the family is the measure.
        `channels` are the known channel names; they are needed only for a correlation of channels
        whose names hold an underscore.

        Raises
        ------
        ConfigurationError
            If the text has fewer than three parts.
        """
        parts = text.split("_", 2)
        if len(parts) < 3 or not all(parts):
            raise ConfigurationError(
                f"{text!r} is no feature name: expected <Compartment>_<Family>_<Measure>..."
            )
        compartment, family, rest = parts
        if family not in _GRAMMAR:
            return cls(compartment, family, rest)
        measure_pattern, has_channels, parameter_pattern = _GRAMMAR[family]
        parameters: tuple[str, ...] = ()
        found = re.search(rf"_?({parameter_pattern})$", rest) if parameter_pattern else None
        if found and found.start() > 0:
            parameters = tuple(found[1].split("_"))
        match = re.match(measure_pattern, rest)
        if match is None:
            return cls(compartment, family, rest)
        if not has_channels:
            stop = len(rest) - (len(found[0]) if found and parameters else 0)
            return cls(compartment, family, rest[:stop], (), parameters)
        stop = found.start() if found and parameters else len(rest)
        middle = rest[match.end() : stop].removeprefix("_")
        return cls(
            compartment, family, match[0], _split_channels(family, middle, channels), parameters
        )


def _split_channels(family: str, text: str, known: Collection[str]) -> tuple[str, ...]:
    """One channel, or the two of a correlation."""
    if not text:
        return ()
    if family != "Correlation":
        return (text,)
    places = [i for i, char in enumerate(text) if char == "_"]
    splits = [(text[:i], text[i + 1 :]) for i in places]
    for first, second in splits:
        if first in known and second in known:
            return first, second
    return splits[0] if splits else (text,)


def is_position(name: str) -> bool:
    """Tell whether a column says where an object lies or which it is: no feature of the object.

    True for `Location` columns, `AreaShape_Center_X`, the corners of the bounding box, and the
    numbers of objects (`Parent_Nuclei`, `Number_Object_Number`).
    """
    return _POSITION.search(name) is not None
