"""Around dbt: a scratch DuckDB file over the lake before, Delta tables of its marts after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import polars as pl

from phenolake.lake import Commit, Lake, write_catalog
from phenolake.screens.config import ScreenConfig
from phenolake.tables.dbt_sources import READOUT_VALUES

_KEYS = ["Metadata_Screen", "Metadata_Plate", "Metadata_Well"]


def prepare_scratch(lake: Lake, screens: Iterable[ScreenConfig], path: Path) -> None:
    """Write the lake's views and the long table of readouts to a DuckDB file for dbt."""
    write_catalog(lake, path)
    values = readout_values(lake, screens)
    with duckdb.connect(str(path)) as connection:
        connection.register("readouts", values.to_arrow())
        connection.execute("create or replace table gold.readout_values as select * from readouts")


def readout_values(lake: Lake, screens: Iterable[ScreenConfig]) -> pl.DataFrame:
    """Each screen's readout columns made long: raw value and robust z of every well."""
    empty = pl.DataFrame(READOUT_VALUES.arrow_schema().empty_table())
    if not (lake.exists("well_profiles") and lake.exists("normalized_profiles")):
        return empty
    parts = [empty]
    for config in screens:
        profiles = lake.read("well_profiles", {"Metadata_Screen": config.name})
        if profiles.is_empty():
            continue
        normalized = lake.read("normalized_profiles", {"Metadata_Screen": config.name})
        robust = normalized.filter(pl.col("Metadata_Normalization") == "mad_robustize")
        for readout in config.readout_columns:
            if readout not in profiles.columns:
                continue
            z_scores = _z_scores(profiles, robust, readout)
            rows = profiles.with_columns(
                pl.lit(readout).alias("readout"),
                pl.col(readout).cast(pl.Float64).fill_nan(None).alias("value"),
            ).join(z_scores, on=_KEYS, how="left", maintain_order="left")
            parts.append(rows.select(empty.columns).cast(dict(empty.schema)))  # type: ignore[arg-type]
    return pl.concat(parts)


def land_marts(lake: Lake, scratch: Path, run_id: str) -> Iterator[Commit]:
    """Write every table that dbt left in the schema `marts` to the lake, one commit each."""
    with duckdb.connect(str(scratch), read_only=True) as connection:
        found = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
        ).fetchall()
        for (name,) in found:
            rows = connection.table(f"marts.{name}").to_arrow_table()
            yield lake.write_mart(name, rows, run_id=run_id)


def _z_scores(profiles: pl.DataFrame, robust: pl.DataFrame, readout: str) -> pl.DataFrame:
    """Robust z by well: of a feature from normalized_profiles, of a count from the plate's controls."""
    if not readout.startswith("Metadata_"):
        if readout not in robust.columns:
            return robust.select(*_KEYS, pl.lit(None, dtype=pl.Float64).alias("z_score"))
        return robust.select(*_KEYS, pl.col(readout).fill_nan(None).alias("z_score"))
    control = pl.when(pl.col("Metadata_ControlType") == "negcon").then(
        pl.col(readout).cast(pl.Float64)
    )
    plate = ["Metadata_Screen", "Metadata_Plate"]
    center = control.median().over(plate)
    spread = (control - center).abs().median().over(plate) * 1.4826
    score = pl.when(spread > 0).then((pl.col(readout) - center) / spread)
    return profiles.select(*_KEYS, score.alias("z_score"))
