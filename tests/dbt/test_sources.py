"""dbt's sources say what the table declarations say."""

from __future__ import annotations

import yaml

from phenolake.tables import TABLES
from phenolake.tables.dbt_sources import FOR_DBT, sources_yaml


def test_committed_sources_are_up_to_date(repository):
    committed = (repository / "dbt" / "models" / "sources.yml").read_text(encoding="utf-8")
    assert committed == sources_yaml(), (
        "run `python -m phenolake.tables.dbt_sources dbt/models/sources.yml`"
    )


def test_every_table_is_a_source_of_its_layer():
    sources = yaml.safe_load(sources_yaml())["sources"]
    listed = {table["name"]: source["name"] for source in sources for table in source["tables"]}
    assert {listed.pop(table.name) for table in FOR_DBT} == {"gold"}
    assert listed == {name: table.layer.value for name, table in TABLES.items()}


def test_units_stand_behind_the_meaning():
    bronze = yaml.safe_load(sources_yaml())["sources"][0]["tables"]
    columns = {column["name"]: column for column in bronze[0]["columns"]}
    assert columns["pixel_size_um"]["description"].endswith("[um]")
    assert columns["acquired_at"]["data_type"] == "timestamp with time zone"
