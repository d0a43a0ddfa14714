"""Which features to measure: presets, families by name and scale, and the published 42."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.features.families import COMPARISONS, FAMILIES, TRANSLOCATION, Comparison, Family

_FAST = ("AreaShape", "Intensity", "Neighbors", TRANSLOCATION)
PRESETS: dict[str, tuple[str, ...]] = {
    "fast": _FAST,
    "standard": (*_FAST, "Zernike", "Location", "Texture", "Correlation", "RadialDistribution"),
    "full": (
        *(name for name in FAMILIES if name not in ("Texture", "Dimensions")),
        "Texture:3,5,10",
        *COMPARISONS,
    ),
}


def _published_42() -> tuple[str, ...]:
    shape = ("WidthToLengthRatio", "LengthUm", "WidthUm", "Roundness", "AreaUm2")
    ser = ("Dark", "Bright", "Saddle", "Valley", "Ridge", "Edge", "Hole", "Spot")
    intensity = (
        "Contrast",
        "CV",
        "IntegratedIntensity",
        "MinIntensity",
        "MaxIntensity",
        "MedianIntensity",
        "StdIntensity",
        "MeanIntensity",
    )
    return (
        *(f"Cells_SER_{measure}_TRITC_0" for measure in ser),
        *(f"Cells_AreaShape_{measure}" for measure in shape),
        *(f"Cells_Intensity_{measure}_Alexa488" for measure in intensity),
        *(f"Cells_Intensity_{measure}_Alexa647" for measure in intensity),
        *(f"Nuclei_AreaShape_{measure}" for measure in shape),
        *(f"Nuclei_Intensity_{measure}_Hoechst" for measure in intensity),
    )


#: Presets of single columns: the families they come from, and the columns in their order.
#: `cytotoxicity_42` holds the 42 properties of the published study of four-channel cytotoxicity.
COLUMN_PRESETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cytotoxicity_42": (
        ("Dimensions", "Intensity", "IntensityVariation", "SER:0"),
        _published_42(),
    ),
}


@dataclass(frozen=True)
class Selection:
    """Families at their scales and comparisons, in the order of the columns; columns if restricted."""

    families: dict[str, Family]
    comparisons: dict[str, Comparison]
    columns: tuple[str, ...] | None = None

    @classmethod
    def of(cls, chosen: str | Iterable[str] | None) -> Selection:
        """What a preset, names of families, or both choose; `None` is the standard preset.

        A name may give scales: `Texture:3,5,10`. A text may hold several, parted by blanks:
        `standard SER:0,2`. Of a family named twice the scales given last count.

        Raises
        ------
        UnknownNameError
            If a name is no family or preset.
        ConfigurationError
            If scales are no whole numbers, or the family has none.
        """
        words = ["standard"] if chosen is None else chosen
        words = words.split() if isinstance(words, str) else list(words)
        if len(words) == 1 and words[0] in COLUMN_PRESETS:
            families, columns = COLUMN_PRESETS[words[0]]
            whole = cls.of(families)
            return cls(whole.families, {}, columns)
        for name in COLUMN_PRESETS:
            if name in words:
                raise ConfigurationError(f"preset {name} stands alone, got {' '.join(words)}")
        one_text = isinstance(chosen, str)
        scales: dict[str, tuple[int, ...]] = {}
        for word in words:
            for name in PRESETS.get(word, (word,)):
                family, _, text = name.partition(":")
                scales[_known(family, one_text)] = _scales(family, text)
        return cls(
            {name: FAMILIES[name].at(scales[name]) for name in FAMILIES if name in scales},
            {name: COMPARISONS[name] for name in COMPARISONS if name in scales},
        )


def _known(name: str, one_text: bool) -> str:
    known = (*FAMILIES, *COMPARISONS)
    if name in known:
        return name
    if one_text:
        raise UnknownNameError("feature preset", name, (*PRESETS, *COLUMN_PRESETS, *known))
    raise UnknownNameError("feature family", name, (*known, *PRESETS))


def _scales(family: str, text: str) -> tuple[int, ...]:
    if not text:
        return ()
    if family not in FAMILIES or not FAMILIES[family].scales:
        having = ", ".join(name for name, entry in FAMILIES.items() if entry.scales)
        raise ConfigurationError(f"feature family {family} has no scales; those with: {having}")
    lowest = 0 if family == "SER" else 1
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) >= lowest for part in parts):
        raise ConfigurationError(
            f"scales of {family}: expected whole numbers of pixels from {lowest}, got {text!r}"
        )
    return tuple(sorted({int(part) for part in parts}))
