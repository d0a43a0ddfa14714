"""The feature dictionary of a screen, from the columns that its tables hold."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from phenolake.features import feature_dictionary
from phenolake.lake import Lake

#: Imported screens may have profiles only.
_TABLES = ("single_cell_features", "field_features", "well_profiles", "normalized_profiles")


def dictionary_of_screen(lake: Lake, screen: str, channels: Collection[str]) -> pl.DataFrame:
    """One row per feature column that a plate of the screen has; columns of FEATURE_DICTIONARY."""
    where = {"Metadata_Screen": screen}
    features: dict[str, None] = {}
    for table in _TABLES:
        if lake.exists(table):
            names = lake.scan(table, where).collect_schema().names()
            features |= dict.fromkeys(n for n in names if not n.startswith("Metadata_"))
    return feature_dictionary(features, channels).select(
        pl.lit(screen).alias("Metadata_Screen"), pl.all()
    )
