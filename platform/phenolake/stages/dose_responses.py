"""What responds to the dose in a screen: readouts, class shares, distances; and their curves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import polars as pl

from phenolake.lake import Lake
from phenolake.profiling.feature_matrix import feature_columns, groups, matrix
from phenolake.screens.config import ScreenConfig
from phenolake.stages.profile_scores import methods_of
from phenolake.stages.reference import IS_NEGATIVE_CONTROL
from phenolake.stages.screen_profiles import profiles_of
from phenolake.tables import table_named

_KEYS = ("Metadata_Plate", "Metadata_Well")
_TREATMENT = (
    "Metadata_Perturbation",
    "Metadata_Concentration",
    "Metadata_ConcentrationUnit",
    "Metadata_ControlType",
    "Metadata_ControlGroup",
    "Metadata_MOA",
)


def responses_of(lake: Lake, config: ScreenConfig) -> tuple[pl.DataFrame, list[str]]:
    """A row per well of a screen with every response as a column, and the names of those."""
    named = [*config.assay.curves, *config.dose_responses]
    wanted = [*config.readout_columns, "Metadata_CellCount", *named]
    return _responses(lake, config.name, dict.fromkeys(wanted))


def responses_of_wells(lake: Lake, screen: str, names: Iterable[str]) -> pl.DataFrame:
    """A row per well of a screen with these responses, those there are, as columns."""
    wells, known = _responses(lake, screen, dict.fromkeys(names))
    keys = ["Metadata_Screen", *_KEYS, *_TREATMENT]
    wells = wells.with_columns(pl.lit(screen).alias("Metadata_Screen"))
    return wells.select(*keys, *(name for name in names if name in known))


def _responses(lake: Lake, screen: str, wanted: Collection[str]) -> tuple[pl.DataFrame, list[str]]:
    where = {"Metadata_Screen": screen}
    profiles = _rows(lake, "well_profiles", where)
    if profiles.is_empty():
        profiles = _rows(lake, "normalized_profiles", where)
    if profiles.is_empty():
        return profiles.select(*_KEYS, *_TREATMENT), []
    known = [*feature_columns(profiles), "Metadata_CellCount"]
    names = known if "all" in wanted else [name for name in wanted if name in known]
    wells = profiles.select(*_KEYS, *_TREATMENT, *names).unique(_KEYS, maintain_order=True)
    for more in (
        class_shares(_rows(lake, "model_predictions", where)),
        profile_distances(_rows(lake, "batch_corrected_profiles", where)),
    ):
        wells = wells.join(more, on=_KEYS, how="left", maintain_order="left")
        names += [name for name in more.columns if name not in _KEYS]
    return wells, names


def class_shares(predictions: pl.DataFrame) -> pl.DataFrame:
    """Share of a well's cells that a model gives each class, one column per model and class."""
    keys = pl.DataFrame(schema=dict.fromkeys(_KEYS, pl.String))
    if predictions.is_empty():
        return keys
    model = ["model_name", "model_version"]
    name = pl.format("share of {} ({} {})", "label", *model)
    counted = predictions.group_by(*_KEYS, *model, "label").len()
    share = counted.with_columns(
        name.alias("class"), pl.col("len") / pl.col("len").sum().over(*_KEYS, *model)
    )
    wide = share.pivot("class", index=_KEYS, values="len", sort_columns=True)
    # A class that no cell of a well has is a share of zero there.
    return wide.with_columns(pl.all().exclude(_KEYS).fill_null(0.0)).sort(_KEYS)


def profile_distances(corrected: pl.DataFrame) -> pl.DataFrame:
    """Distance of each well from the mean negative control of its plate, a column per correction.

    Euclidean, over the root of the number of features.
    """
    distances = pl.DataFrame(schema=dict.fromkeys(_KEYS, pl.String))
    if corrected.is_empty():
        return distances
    for method in methods_of(corrected):
        profiles = profiles_of(corrected, method)
        values = matrix(profiles, feature_columns(profiles)).T
        is_control = profiles.select(IS_NEGATIVE_CONTROL.fill_null(False)).to_series().to_numpy()
        distance = np.full(profiles.height, np.nan)
        for _, rows in groups(profiles, ["Metadata_Plate"]):
            controls = rows[is_control[rows]]
            if controls.size:
                offset = values[rows] - values[controls].mean(axis=0)
                distance[rows] = np.sqrt((offset**2).mean(axis=1))
        part = profiles.select(_KEYS).with_columns(
            pl.Series(f"profile distance ({method})", distance).fill_nan(None)
        )
        distances = distances.join(part, on=_KEYS, how="full", coalesce=True)
    return distances


def _rows(lake: Lake, table: str, where: Mapping[str, str]) -> pl.DataFrame:
    if not lake.exists(table):
        return pl.DataFrame(table_named(table).arrow_schema().empty_table())
    return lake.read(table, where)
