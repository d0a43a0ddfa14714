"""Around dbt: a scratch DuckDB file over the lake before, Delta tables of its marts after."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from phenolake.lake import Commit, Lake, write_catalog
from phenolake.screens.config import ScreenConfig
from phenolake.tables import TABLES
from phenolake.tables.dbt_sources import READOUT_VALUES, TABLE_COMMITS

_KEYS = ["Metadata_Screen", "Metadata_Plate", "Metadata_Well"]


def prepare_scratch(lake: Lake, screens: Iterable[ScreenConfig], path: Path) -> None:
    """Write the lake's views, the long table of readouts and the commits to a DuckDB file for dbt."""
    write_catalog(lake, path)
    made = {"readout_values": readout_values(lake, screens), "table_commits": table_commits(lake)}
    with duckdb.connect(str(path)) as connection:
        for name, rows in made.items():
            connection.register("rows", rows.to_arrow())
            connection.execute(f"create or replace table gold.{name} as select * from rows")
            connection.unregister("rows")


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


def table_commits(lake: Lake) -> pl.DataFrame:
    """Every commit of the lake's declared tables that wrote a partition, a row each."""
    rows = []
    for layer, name in lake.tables():
        for commit in lake.history(name) if name in TABLES else []:
            partition = json.loads(commit.get("phenolake_partition") or "{}")
            if partition:
                rows.append(
                    {
                        "layer": layer,
                        "table_name": name,
                        "version": commit["version"],
                        "committed_at": datetime.fromtimestamp(commit["timestamp"] / 1000, UTC),
                        "Metadata_Screen": partition.get("Metadata_Screen"),
                        "Metadata_Plate": partition.get("Metadata_Plate"),
                        "rows": commit.get("rows"),
                        "run_id": commit.get("phenolake_run_id"),
                        "code_version": commit.get("phenolake_code_version"),
                        "parameters": commit.get("phenolake_parameters"),
                    }
                )
    return pl.DataFrame(pa.Table.from_pylist(rows, schema=TABLE_COMMITS.arrow_schema()))


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
