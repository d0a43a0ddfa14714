"""`phenolake history`, `restore` and `maintain`, as an operator types them."""

from __future__ import annotations

import pytest

from lake.lake_frames import PLATE, plate, profiles
from phenolake.lake import Lake
from phenolake.tables import WELL_PROFILES
from terminal import call, user_at


@pytest.fixture
def lake(tmp_path):
    with user_at(tmp_path / "home") as home:
        lake = Lake(str(home / "tables"))
        for value in (1.0, 2.0):
            for name in ("P1", "P2"):
                lake.write(
                    WELL_PROFILES, profiles(3, value), plate(name), run_id="r1", code_version="0.1"
                )
        yield lake


def test_history_says_when_what_which_plate_and_which_run(lake):
    answer = call("history")
    lines = answer.output.splitlines()
    assert (answer.status, len(lines)) == (0, 4)
    for part in (" UTC", "well_profiles v3", "write", "3 rows", "S1/P2", "run r1", "phenolake 0.1"):
        assert part in lines[0]
    assert call("history", "well_profiles", "--plate", "P1", "--limit", 1).output.splitlines() == [
        line for line in lines if "v2 " in line
    ] + ["... 1 older ones; --limit shows more"]
    assert "No commit fits." in call("history", "--screen", "S9").output
    missing = call("history", "plate_map")
    assert missing.status == 1
    assert "plate_map" in missing.errors


def test_restore_takes_one_plate_back(lake):
    answer = call("restore", "well_profiles", 1, "--screen", "S1", "--plate", "P1")
    assert answer.output == ("well_profiles: S1 P1 is again as in version 1: 3 rows, version 4\n")
    assert lake.read("well_profiles", PLATE)["Cells_A"].to_list() == [1.0] * 3
    assert lake.read("well_profiles", plate("P2"))["Cells_A"].to_list() == [2.0] * 3
    assert "restore to version 1" in call("history").output.splitlines()[0]
    refused = call("restore", "well_profiles", 1, "--plate", "P1")
    assert refused.status == 1
    assert "--plate needs --screen" in refused.errors


def test_maintain_says_what_each_table_holds(lake):
    answer = call("maintain", "--dry-run")
    assert answer.output.splitlines() == [
        "well_profiles v3: 6 rows in 2 files, 0.0 MB, 0 files to delete",
        "0 files would be deleted; versions of the last 7 days stay readable",
    ]
    assert call("maintain").status == 0
    refused = call("maintain", "--keep-days", 0.5)
    assert refused.status == 1
    assert "at least a day" in refused.errors
