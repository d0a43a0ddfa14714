"""The feature dictionary: what every column means, its unit, where it comes from, and what it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from phenolake.errors import ConfigurationError
from phenolake.features.meanings_of_intensity import INTENSITY
from phenolake.features.meanings_of_shape import SHAPE
from phenolake.features.naming import FeatureName, is_position

if TYPE_CHECKING:
    import polars as pl

MEANINGS = SHAPE | INTENSITY
#: CellProfiler 4's module of each family; measures of ours are listed below.
_MODULES = {
    "AreaShape": "MeasureObjectSizeShape",
    "Intensity": "MeasureObjectIntensity",
    "Location": "MeasureObjectIntensity",
    "Texture": "MeasureTexture",
    "Correlation": "MeasureColocalization",
    "RadialDistribution": "MeasureObjectIntensityDistribution",
    "Granularity": "MeasureGranularity",
    "Neighbors": "MeasureObjectNeighbors",
    "Children": "RelateObjects",
    "Parent": "RelateObjects",
    "Number": "RelateObjects",
}
#: The same of whole fields, where it is another.
_FIELD_MODULES = {
    "Intensity": "MeasureImageIntensity",
    "AreaOccupied": "MeasureImageAreaOccupied",
    "Count": "IdentifyPrimaryObjects",
}
_OURS = {
    *("WidthToLengthRatio", "LengthUm", "WidthUm", "AreaUm2", "Roundness", "Contrast", "CV"),
    *("LocalDensity", "MeanDistanceToNearest"),
}


def feature_dictionary(features: Iterable[str], channels: Collection[str] = ()) -> pl.DataFrame:
    """One row per feature column, in the given order.

    Columns: `feature`, `compartment`, `family`, `measure`, `channels` (joined by a comma),
    `parameters` (likewise), `meaning` (the formula in words), `unit` (empty for ratios and counts;
    "image units" are 0 to 1 of the acquired range), `source` (the CellProfiler 4 module whose
    definition it is, or Phenolake), `is_position` (says where or which, not what: no feature of
    the object). Columns that Phenolake does not measure have no meaning, unit or source.

    Parameters
    ----------
    features
        Column names, as `feature_names` gives or a table holds.
    channels
        Channel names; they are needed only where they hold an underscore.
    """
    import polars as pl

    rows = []
    for feature in features:
        name = _parsed(feature, channels)
        meaning, unit = _meaning(name)
        rows.append(
            {
                "feature": feature,
                "compartment": name.compartment,
                "family": name.family,
                "measure": name.measure,
                "channels": ",".join(name.channels),
                "parameters": ",".join(name.parameters),
                "meaning": meaning,
                "unit": unit,
                "source": _source(name) if meaning else None,
                "is_position": is_position(feature),
            }
        )
    dtypes = dict.fromkeys(
        ("feature", "compartment", "family", "measure", "channels", "parameters"), pl.String
    )
    dtypes |= {"meaning": pl.String, "unit": pl.String, "source": pl.String}
    return pl.DataFrame(rows, schema={**dtypes, "is_position": pl.Boolean})


def _parsed(feature: str, channels: Collection[str]) -> FeatureName:
    """Parts of the name; of a foreign one that has none, the whole as its measure."""
    try:
        return FeatureName.parse(feature, channels)
    except ConfigurationError:
        return FeatureName("", "", feature)


def _meaning(name: FeatureName) -> tuple[str | None, str | None]:
    entry = MEANINGS.get((name.family, name.measure)) or MEANINGS.get((name.family, ""))
    if entry is None:
        return None, None
    template, unit = entry
    first, second = (*name.channels, "", "")[:2]
    try:
        return template.format(c=first, d=second, p=name.parameters, m=name.measure), unit
    except IndexError:  # a foreign column with fewer parameters than ours
        return None, None


def _source(name: FeatureName) -> str:
    of_field = _FIELD_MODULES if name.compartment == "Image" else {}
    module = of_field.get(name.family) or _MODULES.get(name.family)
    # Texture has a Contrast of its own.
    own = name.measure in _OURS and name.family != "Texture"
    return f"CellProfiler 4 {module}" if module and not own else "Phenolake"
