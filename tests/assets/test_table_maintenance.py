"""The maintenance asset tidies the lake of its installation and says what it did."""

from __future__ import annotations

import dagster as dg

from lake.lake_frames import PLATE, profiles
from phenolake.lake import Lake
from phenolake.settings import Settings
from phenolake.tables import WELL_PROFILES
from phenolake_assets.table_maintenance import table_maintenance
from phenolake_resources import resources_for


def test_maintenance_reports_every_table(tmp_path):
    settings = Settings(home=tmp_path, retention_days=2)
    lake = Lake(settings.tables_uri)
    for value in (1.0, 2.0):
        lake.write(WELL_PROFILES, profiles(3, value), PLATE)
    resources = {name: resources_for(settings)[name] for name in ("lake", "screens")}
    run = dg.materialize([table_maintenance], resources=resources)
    metadata = run.asset_materializations_for_node("table_maintenance")[0].metadata
    assert metadata["rows"].value == 3
    assert metadata["files deleted"].value == 0
    assert metadata["days that versions stay readable"].value == 2
    assert "| well_profiles |" in metadata["what was done"].value
    assert lake.read("well_profiles", version=0).height == 3
