"""Around dbt: a scratch DuckDB file over the lake before, Delta tables of its marts after."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import duckdb
import polars as pl

from phenolake import __version__
from phenolake.lake import Commit, Lake, write_catalog
from phenolake.lake.lineage import commit_frame, current_partitions, input_frame
from phenolake.screens.config import ScreenConfig
from phenolake.tables.dbt_sources import READOUT_VALUES, TABLE_COMMITS

#: Tables that `readout_values` is made from: raw profiles, and profiles scaled by controls.
READOUTS_FROM = ("well_profiles", "normalized_profiles")
_KEYS = ["Metadata_Screen", "Metadata_Plate", "Metadata_Well"]


def prepare_scratch(lake: Lake, screens: Iterable[ScreenConfig], path: Path) -> dict[str, int]:
    """Write the lake's views, the long table of readouts and the commits to a DuckDB file for dbt.

    Returns
    -------
    dict
        Version of each table that the file shows.
    """
    versions = write_catalog(lake, path)
    made = {
        "readout_values": readout_values(lake, screens, versions),
        "table_commits": table_commits(lake),
    }
    with duckdb.connect(str(path)) as connection:
        for name, rows in made.items():
            connection.register("rows", rows.to_arrow())
            connection.execute(f"create or replace table gold.{name} as select * from rows")
            connection.unregister("rows")
    return versions


def readout_values(
    lake: Lake, screens: Iterable[ScreenConfig], versions: Mapping[str, int]
) -> pl.DataFrame:
    """Each screen's readout columns made long: raw value and robust z of every well."""
    empty = pl.DataFrame(READOUT_VALUES.arrow_schema().empty_table())
    raw, scaled = READOUTS_FROM
    if not (raw in versions and scaled in versions):
        return empty
    parts = [empty]
    for config in screens:
        of_screen = {"Metadata_Screen": config.name}
        profiles = lake.read(raw, of_screen, versions[raw])
        if profiles.is_empty():
            continue
        normalized = lake.read(scaled, of_screen, versions[scaled])
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
    """Every commit of the lake's declared tables, a row each, as the schema `lineage` tells them."""
    columns = TABLE_COMMITS.arrow_schema().names
    parts = [pl.DataFrame(TABLE_COMMITS.arrow_schema().empty_table())]
    for source in lake.sources():
        if source.snapshot is None or source.declared is None:
            continue
        commits = commit_frame(source.snapshot)
        written = current_partitions(commits)["version"].to_list()
        read: dict[int, dict[str, int]] = {}
        for row in input_frame(source.snapshot).iter_rows(named=True):
            read.setdefault(row["version"], {})[row["input_table"]] = row["input_version"]
        inputs = [json.dumps(read.get(version, {})) for version in commits["version"]]
        told = commits.with_columns(
            pl.lit(source.layer).alias("layer"),
            pl.col("committed_at").cast(parts[0].schema["committed_at"]),
            pl.col("version").is_in(written).alias("is_current"),
            pl.Series("inputs", inputs, pl.String),
        )
        parts.append(told.select(columns))
    return pl.concat(parts)


def land_marts(
    lake: Lake,
    scratch: Path,
    run_id: str,
    sources: Mapping[str, Iterable[str]],
    versions: Mapping[str, int],
) -> Iterator[Commit]:
    """Write every table that dbt left in the schema `marts` to the lake, one commit each.

    Parameters
    ----------
    sources
        Tables that each mart was selected from, at whatever remove.
    versions
        What `prepare_scratch` returned: each mart's commit names the versions of its sources.
    """
    with duckdb.connect(str(scratch), read_only=True) as connection:
        found = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
        ).fetchall()
        for (name,) in found:
            rows = connection.table(f"marts.{name}").to_arrow_table()
            inputs = _versions_of(sources.get(name, ()), versions)
            yield lake.write_mart(
                name, rows, run_id=run_id, code_version=__version__, inputs=inputs
            )


def _versions_of(sources: Iterable[str], versions: Mapping[str, int]) -> dict[str, int]:
    """Versions of the lake's tables behind dbt's sources; a log is of every table."""
    read = set(sources)
    if READOUT_VALUES.name in read:
        read.update(READOUTS_FROM)
    if TABLE_COMMITS.name in read:
        read.update(versions)
    return {name: version for name, version in versions.items() if name in read}


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
