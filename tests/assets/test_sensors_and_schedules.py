"""What the daemon asks for: new plates once, finished screens once, every screen each night."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from phenolake_assets.partitions import PLATES, SCREENS
from phenolake_assets.schedules import nightly_screens
from phenolake_assets.sensors import finished_screens, new_plates
from phenolake_assets.store_inbox import fetch_job, plates_in_store
from phenolake_resources import LakeResource, ScreensResource
from plates import write_screen, write_site


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def screens(tmp_path):
    (tmp_path / "inbox").mkdir()
    return ScreensResource(
        registry=str(tmp_path / "screens"),
        inbox=str(tmp_path / "inbox"),
        quiet_time_s=3600,
        segmentation="classical",
    )


@pytest.fixture
def lake(tmp_path):
    return LakeResource(uri=str(tmp_path / "tables"))


class Daemon:
    """Evaluates one sensor as Dagster's daemon does: cursor and partitions are kept between ticks."""

    def __init__(self, sensor, instance, **resources):
        self.sensor, self.instance, self.resources = sensor, instance, resources
        self.cursor = None
        self.asked: set[str] = set()

    def tick(self) -> list[str]:
        """Partition keys of the runs it starts now."""
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources=self.resources
        )
        result = self.sensor(context)
        self.cursor = result.cursor or context.cursor
        for request in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(
                request.partitions_def_name, list(request.partition_keys)
            )
        runs = [run for run in result.run_requests or [] if run.run_key not in self.asked]
        self.asked |= {run.run_key for run in runs}
        return [run.partition_key for run in runs]


def complete(screen, plate="P1"):
    (screen / plate / "_COMPLETE").touch()


def test_a_complete_plate_is_asked_for_once(instance, screens, tmp_path, lake):
    complete(write_screen(tmp_path / "inbox" / "gfp", wells=("A01",)))
    daemon = Daemon(new_plates, instance, screens=screens, lake=lake)
    assert daemon.tick() == ["gfp__P1"]
    assert instance.get_dynamic_partitions(PLATES) == ["gfp__P1"]
    assert daemon.tick() == []


def test_a_plate_still_being_copied_waits_and_does_not_hold_up_others(
    instance, screens, tmp_path, lake
):
    screen = write_screen(tmp_path / "inbox" / "gfp", plates=("P1", "P2"), wells=("A01",))
    complete(screen, "P2")
    daemon = Daemon(new_plates, instance, screens=screens, lake=lake)
    assert daemon.tick() == ["gfp__P2"]
    complete(screen, "P1")
    assert daemon.tick() == ["gfp__P1"]


def test_a_plate_left_alone_for_the_quiet_time_is_complete(instance, screens, tmp_path, lake):
    write_screen(tmp_path / "inbox" / "gfp", wells=("A01",))
    patient = Daemon(new_plates, instance, screens=screens, lake=lake)
    assert patient.tick() == []
    at_once = ScreensResource(**{**screens.model_dump(), "quiet_time_s": 0})
    hasty = Daemon(new_plates, instance, screens=at_once, lake=lake)
    assert hasty.tick() == ["gfp__P1"]


def test_a_screen_that_cannot_be_read_does_not_block_others(instance, screens, tmp_path, lake):
    broken = write_screen(tmp_path / "inbox" / "broken", wells=("A01",))
    (broken / "screen.yaml").write_text("preset: [unclosed\n")
    complete(broken)
    complete(write_screen(tmp_path / "inbox" / "gfp", wells=("A01",)))
    assert Daemon(new_plates, instance, screens=screens, lake=lake).tick() == ["gfp__P1"]


def test_a_broken_screen_alone_is_named_in_the_skip_message(instance, screens, tmp_path, lake):
    (tmp_path / "inbox" / "broken").mkdir()
    (tmp_path / "inbox" / "broken" / "screen.yaml").write_text("colour: blue\n")
    context = dg.build_sensor_context(
        instance=instance, resources={"screens": screens, "lake": lake}
    )
    result = new_plates(context)
    assert not result.run_requests
    assert "colour" in result.skip_reason.skip_message


def test_an_inbox_that_does_not_exist_yet_is_no_error(instance, screens, tmp_path, lake):
    (tmp_path / "inbox").rmdir()
    assert Daemon(new_plates, instance, screens=screens, lake=lake).tick() == []


def profiled(instance, *plates):
    for plate in plates:
        instance.report_runless_asset_event(
            dg.AssetMaterialization("normalized_profiles", partition=plate)
        )


def corrected(instance, screen):
    instance.report_runless_asset_event(
        dg.AssetMaterialization("batch_corrected_profiles", partition=screen)
    )


def test_a_screen_is_finished_when_all_its_plates_are_profiled(instance):
    instance.add_dynamic_partitions(PLATES, ["gfp__P1", "gfp__P2", "other__P1"])
    daemon = Daemon(finished_screens, instance)
    assert daemon.tick() == []
    profiled(instance, "gfp__P1")
    assert daemon.tick() == []
    profiled(instance, "gfp__P2")
    assert daemon.tick() == ["gfp"]
    assert instance.get_dynamic_partitions(SCREENS) == ["gfp"]


def test_a_finished_screen_is_not_asked_for_again_until_a_plate_changed(instance):
    instance.add_dynamic_partitions(PLATES, ["gfp__P1", "gfp__P2"])
    profiled(instance, "gfp__P1", "gfp__P2")
    daemon = Daemon(finished_screens, instance)
    assert daemon.tick() == ["gfp"]
    assert daemon.tick() == []
    corrected(instance, "gfp")
    assert daemon.tick() == []
    profiled(instance, "gfp__P1")
    assert daemon.tick() == ["gfp"]


def test_a_new_plate_holds_its_screen_back_until_it_is_profiled(instance):
    instance.add_dynamic_partitions(PLATES, ["gfp__P1"])
    profiled(instance, "gfp__P1")
    corrected(instance, "gfp")
    daemon = Daemon(finished_screens, instance)
    instance.add_dynamic_partitions(PLATES, ["gfp__P2"])
    assert daemon.tick() == []
    profiled(instance, "gfp__P2")
    assert daemon.tick() == ["gfp"]


def test_the_night_brings_one_run_for_each_screen():
    # A schedule opens the instance anew, so that one must be on disk.
    with dg.DagsterInstance.local_temp() as instance:
        instance.add_dynamic_partitions(SCREENS, ["b", "a"])
        night = datetime(2026, 1, 1, 2, tzinfo=UTC)
        with dg.build_schedule_context(instance, scheduled_execution_time=night) as context:
            requests = list(nightly_screens(context))
    assert [request.partition_key for request in requests] == ["a", "b"]
    assert len({request.run_key for request in requests}) == 2


def test_a_site_added_later_is_not_a_new_plate(instance, screens, tmp_path, lake):
    screen = write_screen(tmp_path / "inbox" / "gfp", wells=("A01",))
    complete(screen)
    daemon = Daemon(new_plates, instance, screens=screens, lake=lake)
    assert daemon.tick() == ["gfp__P1"]
    write_site(screen / "P1", "A02")
    assert instance.get_dynamic_partitions(PLATES) == ["gfp__P1"]


def test_a_plate_in_an_object_store_is_copied_once_and_becomes_a_partition(
    instance, screens, tmp_path, lake
):
    import fsspec

    store = fsspec.filesystem("memory")
    store.store.clear()
    made = write_screen(tmp_path / "made" / "gfp", wells=("A01",))
    complete(made)
    store.put(str(made), "/inbox/gfp", recursive=True)
    watching = ScreensResource(**{**screens.model_dump(), "inbox_uri": "memory://inbox"})
    daemon = Daemon(plates_in_store, instance, screens=watching)
    result = plates_in_store(
        dg.build_sensor_context(instance=instance, resources={"screens": watching})
    )
    (request,) = result.run_requests
    done = fetch_job.execute_in_process(
        run_config=request.run_config, resources={"screens": watching}, instance=instance
    )
    assert done.success
    assert len(daemon.tick()) == 0
    assert Daemon(new_plates, instance, screens=watching, lake=lake).tick() == ["gfp__P1"]


def test_an_inbox_that_is_a_folder_has_nothing_to_fetch(instance, screens):
    assert Daemon(plates_in_store, instance, screens=screens).tick() == []


def test_a_link_out_of_the_inbox_is_refused_until_its_folder_is_allowed(
    instance, screens, tmp_path, lake
):
    elsewhere = write_screen(tmp_path / "elsewhere", wells=("A01",))
    complete(elsewhere)
    screen = write_screen(tmp_path / "inbox" / "gfp", plates=(), wells=("A01",))
    (screen / "linked").symlink_to(elsewhere / "P1")
    (tmp_path / "inbox" / "other").symlink_to(elsewhere)
    daemon = Daemon(new_plates, instance, screens=screens, lake=lake)
    context = dg.build_sensor_context(instance=instance, resources=daemon.resources)
    reason = new_plates(context).skip_reason.skip_message
    assert f"{screen / 'linked'} is a link to {elsewhere / 'P1'}" in reason
    assert f"{tmp_path / 'inbox' / 'other'} is a link to {elsewhere}" in reason
    for _ in range(2):
        daemon.tick()
    rows = lake.open().read("quarantine").sort("Metadata_Screen")
    places = rows.select("Metadata_Screen", "Metadata_Plate", "stage", "problem").rows()
    assert places == [
        ("gfp", "linked", "inbox", "refused_link"),
        ("other", "other", "inbox", "refused_link"),
    ]
    assert rows["uri"].to_list() == [f"{screen / 'linked'}", f"{tmp_path / 'inbox' / 'other'}"]
    assert rows["got"].to_list() == [f"{elsewhere / 'P1'}", f"{elsewhere}"]
    assert all("PHENOLAKE_LINKED_FOLDERS" in advice for advice in rows["advice"])
    # One commit for each, and none in the second tick.
    assert lake.open().version("quarantine") == 1
    allowed = ScreensResource(**{**screens.model_dump(), "linked_folders": [str(elsewhere)]})
    daemon.resources["screens"] = allowed
    assert daemon.tick() == ["gfp__linked", "other__P1"]
    assert lake.open().read("quarantine").is_empty()


def test_a_refused_link_is_written_down_once_the_lake_can_be_written(
    instance, screens, tmp_path, lake
):
    (tmp_path / "elsewhere" / "P1").mkdir(parents=True)
    write_screen(tmp_path / "inbox" / "gfp", plates=(), wells=("A01",))
    (tmp_path / "inbox" / "gfp" / "linked").symlink_to(tmp_path / "elsewhere" / "P1")
    Path(lake.uri).write_text("no folder")
    daemon = Daemon(new_plates, instance, screens=screens, lake=lake)
    assert daemon.tick() == []
    Path(lake.uri).unlink()
    daemon.tick()
    assert lake.open().read("quarantine")["Metadata_Plate"].to_list() == ["linked"]


def test_pools_have_their_limit_before_the_first_runs_ask_for_it(tmp_path, screens, lake):
    configuration = {"concurrency": {"pools": {"default_limit": 1, "granularity": "op"}}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=configuration) as instance:
        Daemon(new_plates, instance, screens=screens, lake=lake).tick()
        storage = instance.event_log_storage
        assert storage.get_concurrency_keys() == {"measurement", "segmentation", "training"}
        assert storage.get_concurrency_info("measurement").slot_count == 1
        Daemon(new_plates, instance, screens=screens, lake=lake).tick()
