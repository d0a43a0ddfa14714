"""A process keeps tables open, yet sees each commit of others, and a reader's version stays."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lake.lake_frames import PLATE, plate, profiles
from phenolake.errors import LakeError
from phenolake.lake import Lake
from phenolake.lake import newest as module
from phenolake.lake.newest import newest
from phenolake.tables import WELL_PROFILES

PLACE = ("gold", "well_profiles")


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the tables that are opened from their log from now on."""
    real, names = module.Snapshot.open, []

    def told(location, layer, name, version=None):
        names.append(name)
        return real(location, layer, name, version)

    monkeypatch.setattr(module.Snapshot, "open", told)
    return names


def test_a_table_is_opened_once_for_many_writes_and_reads(lake, monkeypatch):
    lake.write(WELL_PROFILES, profiles(1), plate("P0"))
    names = opened(monkeypatch)
    for number in range(1, 4):
        lake.write(WELL_PROFILES, profiles(1), plate(f"P{number}"))
        assert Lake(lake.uri).read("well_profiles").height == number + 1
    assert names == ["well_profiles"]


def test_a_commit_that_others_made_is_seen(lake):
    lake.write(WELL_PROFILES, profiles(1), plate("P0"))
    assert lake.read("well_profiles").height == 1
    elsewhere = Path(lake.uri).with_name("elsewhere")
    shutil.copytree(lake.uri, elsewhere, copy_function=shutil.copy2)
    Lake(str(elsewhere)).write(WELL_PROFILES, profiles(2), plate("P1"))
    shutil.copytree(elsewhere, lake.uri, copy_function=shutil.copy2, dirs_exist_ok=True)
    assert lake.read("well_profiles").height == 3


def test_what_a_reader_holds_stays_while_writers_go_on(lake):
    lake.write(WELL_PROFILES, profiles(1), PLATE)
    before = newest(lake.location, *PLACE)
    paths, schema = before.paths(), before.schema
    lake.write(WELL_PROFILES, profiles(2, features=("Cells_A", "Cells_Extra")), PLATE)
    after = newest(lake.location, *PLACE)
    assert (before.version, after.version) == (0, 1)
    assert (before.paths(), before.schema) == (paths, schema)
    assert after.paths() != paths
    assert "Cells_Extra" in after.schema.names


def test_a_table_that_was_deleted_and_made_again_is_opened_again(lake):
    lake.write(WELL_PROFILES, profiles(1), PLATE)
    lake.write(WELL_PROFILES, profiles(1), PLATE)
    assert lake.version("well_profiles") == 1
    shutil.rmtree(lake.uri)
    assert not lake.exists("well_profiles")
    lake.write(WELL_PROFILES, profiles(2), PLATE)
    lake.write(WELL_PROFILES, profiles(3), PLATE)
    assert lake.version("well_profiles") == 1
    assert lake.read("well_profiles").height == 3


def test_so_many_tables_are_kept_and_no_more(lake, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_KEPT", 2)
    monkeypatch.setattr(module, "_open", {})
    for number in range(4):
        other = Lake(str(tmp_path / str(number)))
        other.write(WELL_PROFILES, profiles(1), PLATE)
        assert other.read("well_profiles").height == 1
    assert len(module._open) == 2


@pytest.mark.parametrize("feature", ["deletionVectors", "columnMapping"])
def test_a_table_whose_files_alone_do_not_tell_its_rows_is_refused(lake, feature):
    lake.write(WELL_PROFILES, profiles(1), PLATE)
    entry = Path(lake.table_uri("well_profiles"), "_delta_log", f"{1:020d}.json")
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": [feature],
        "writerFeatures": [feature],
    }
    entry.write_text(json.dumps({"protocol": protocol}) + "\n")
    with pytest.raises(
        LakeError, match=f"'well_profiles' was written by another tool with {feature}"
    ):
        lake.read("well_profiles")
