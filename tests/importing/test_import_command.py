from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from importing.exports import write_folder
from phenolake.cli.import_tables import import_folder
from phenolake.importing.land import Options
from phenolake.screens.registry import ScreenRegistry


def test_an_imported_plate_is_a_partition_with_a_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("PHENOLAKE_HOME", str(home))
    monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster"))
    source = write_folder(tmp_path / "export")
    assert import_folder(source, "S", None, Options()) == 0
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        assert instance.get_dynamic_partitions("plates") == ["S__P1"]
        event = instance.get_latest_materialization_event(dg.AssetKey("single_cell_features"))
    assert event is not None
    assert event.asset_materialization.partition == "S__P1"
    assert event.asset_materialization.metadata["source"].value == str(source)
    screen = ScreenRegistry(home / "screens", home / "inbox").screen("S")
    assert screen.plates() == []
