"""Lakes that earlier releases wrote open in this one: read, asked by SQL, written, taken back.

`releases/<version>.zip` holds a lake of one plate with two wells, every table of it written twice.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from phenolake.lake import Lake, decode_labels
from phenolake.lake.maintenance import maintain
from phenolake.lake.migrations import migrate
from phenolake.tables import TABLES

STORED = sorted(Path(__file__).with_name("releases").glob("*.zip"))
PLATE = {"Metadata_Screen": "gfp", "Metadata_Plate": "P1"}


@pytest.fixture(params=STORED, ids=lambda path: path.stem)
def old_lake(request, tmp_path) -> Lake:
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path)
    lake = Lake(str(tmp_path))
    list(migrate(lake))
    return lake


def test_there_is_a_stored_lake():
    assert STORED


def test_every_table_is_read_in_both_versions_and_by_sql(old_lake):
    names = [name for _, name in old_lake.tables()]
    assert len(names) >= 8
    for layer, name in old_lake.tables():
        rows = old_lake.read(name, PLATE)
        assert set(TABLES[name].column_names) <= set(rows.columns)
        assert rows.select(TABLES[name].key).is_unique().all()
        assert old_lake.read(name, version=0).height == rows.height
        assert old_lake.sql(f"select count(*) from {layer}.{name}").item() == rows.height


def test_masks_and_cells_still_fit_together(old_lake):
    masks = old_lake.read("segmentation_masks", PLATE).filter(compartment="Nuclei")
    cells = old_lake.read("single_cell_features", PLATE)
    labels = [
        decode_labels(row["labels"], (row["height"], row["width"]))
        for row in masks.iter_rows(named=True)
    ]
    assert sum(int(label.max()) for label in labels) == cells.height > 0


def test_lineage_of_old_rows_names_their_run(old_lake):
    found = old_lake.sql("select table_name, run_id, code_version from lineage.partitions")
    assert set(found["table_name"]) == {name for _, name in old_lake.tables()}
    assert found["run_id"].null_count() == 0
    assert found["code_version"].unique().to_list() == ["0.1.0"]


def test_old_tables_are_written_taken_back_and_maintained(old_lake):
    rows = old_lake.read("well_profiles", PLATE)
    old_lake.write(TABLES["well_profiles"], rows.head(1), PLATE)
    assert old_lake.read("well_profiles", PLATE).height == 1
    old_lake.restore("well_profiles", 0, PLATE)
    assert old_lake.read("well_profiles", PLATE).select(rows.columns).equals(rows)
    assert {done.table for done in maintain(old_lake)} == {name for _, name in old_lake.tables()}
