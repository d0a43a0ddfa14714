"""What Dagster is told about the assets, against a snapshot that a change has to touch on purpose.

`python tests/assets/test_asset_specs.py > tests/assets/assets.json` writes the snapshot anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pytest

from phenolake.definitions import definitions
from phenolake.settings import Settings
from phenolake.tables import TABLES
from phenolake_assets.columns import table_metadata

SNAPSHOT = Path(__file__).with_name("assets.json")


def snapshot(defs: dg.Definitions) -> dict[str, dict[str, object]]:
    """Group, partitions, upstream assets and checks of every asset by its key."""
    checks: dict[str, list[str]] = {}
    for key in defs.resolve_asset_graph().asset_check_keys:
        checks.setdefault(key.asset_key.to_user_string(), []).append(key.name)
    return {
        spec.key.to_user_string(): {
            "group": spec.group_name,
            "partitions": getattr(spec.partitions_def, "name", None),
            "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
            "checks": sorted(checks.get(spec.key.to_user_string(), [])),
        }
        for spec in sorted(defs.resolve_all_asset_specs(), key=lambda spec: spec.key)
    }


@pytest.fixture(scope="module")
def defs(tmp_path_factory) -> dg.Definitions:
    return definitions(Settings(home=tmp_path_factory.mktemp("home")))


def test_assets_are_those_of_the_snapshot(defs):
    assert snapshot(defs) == json.loads(SNAPSHOT.read_text()), __doc__


def test_every_table_is_an_asset_of_its_layer(defs):
    groups = {spec.key.to_user_string(): spec.group_name for spec in defs.resolve_all_asset_specs()}
    assert {name: groups.get(name) for name in TABLES} == {
        name: str(table.layer) for name, table in TABLES.items()
    }


@pytest.mark.parametrize("name", sorted(TABLES))
def test_the_columns_tab_says_what_the_declaration_says(defs, name):
    table = TABLES[name]
    metadata = next(
        spec.metadata for spec in defs.resolve_all_asset_specs() if spec.key == dg.AssetKey(name)
    )
    columns = {column.name: column for column in metadata["dagster/column_schema"].columns}
    for declared in table.columns:
        shown = columns.pop(declared.name)
        assert shown.type == str(declared.dtype)
        assert declared.meaning in shown.description
        assert (declared.unit or "") in shown.description
        assert shown.constraints.nullable == declared.nullable
    assert len(columns) == (table.features is not None)
    assert metadata["grain"] == table.grain
    assert metadata == table_metadata(table) | metadata


def test_jobs_sensors_and_schedules_load(defs):
    repository = defs.get_repository_def()
    assert {job.name for job in repository.get_all_jobs()} >= {
        "plate_job",
        "screen_job",
        "marts_job",
    }
    assert {sensor.name for sensor in repository.sensor_defs} >= {"new_plates", "finished_screens"}
    assert "nightly_screens" in {schedule.name for schedule in repository.schedule_defs}


if __name__ == "__main__":
    with TemporaryDirectory() as home:
        print(json.dumps(snapshot(definitions(Settings(home=Path(home)))), indent=2))
