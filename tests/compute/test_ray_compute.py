"""Fields on a Ray cluster: the results of a local run, in order, whatever happens to a worker."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from compute import fields
from phenolake.compute import LocalCompute
from phenolake.errors import ConfigurationError
from phenolake.ray_compute import RayCompute
from phenolake.settings import Settings
from phenolake_resources import resources_for
from plates import write_screen
from scenario import contents, failure_of, installation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MEASURED = ("segmentation_masks", "single_cell_features")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCompute]:
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            "local",
            num_cpus=2,
            num_gpus=2,  # nobody looks whether they are there
            include_dashboard=False,
            logging_level="ERROR",
            log_to_driver=False,
            object_store_memory=80 << 20,
            runtime_env={"env_vars": {"PYTHONPATH": os.environ["PYTHONPATH"]}},
        )
        try:
            yield RayCompute("auto")
        finally:
            ray.shutdown()


def test_results_are_bit_for_bit_those_of_a_local_run_and_in_order(cluster):
    assert cluster.worker_count == 2
    there = list(cluster.map(fields.filtered, range(12)))
    here = list(LocalCompute(1).map(fields.filtered, range(12)))
    assert all(np.array_equal(one, other) for one, other in zip(there, here, strict=True))


def test_items_are_taken_as_workers_become_free(cluster):
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    results = cluster.map(fields.filtered, items())
    next(results)
    assert len(taken) == 4
    results.close()
    taken.clear()
    results = RayCompute("auto", workers=1).map(fields.filtered, items())
    next(results)
    assert len(taken) == 1  # the other core is not asked
    results.close()


def test_an_error_of_the_function_is_raised_as_itself(cluster):
    with pytest.raises(ValueError, match="field 3 is odd") as caught:
        list(cluster.map(fields.refuse, range(6)))
    assert type(caught.value) is ValueError


def test_a_killed_worker_costs_its_field_only(cluster, tmp_path):
    tasks = [(str(tmp_path), number) for number in range(8)]
    assert list(cluster.map(fields.count_and_die_once, tasks)) == [n * n for n in range(8)]
    starts = [int(mark.name.split("-")[0]) for mark in tmp_path.iterdir()]
    assert starts.count(2) == 2
    assert len(starts) <= 8 + 2


def test_workers_with_a_gpu_load_their_model_once_and_survive_being_killed(cluster, tmp_path):
    workers = RayCompute("auto", gpus=1)
    assert workers.worker_count == 2
    loads = tmp_path / "loads"
    loads.mkdir()
    answers = list(workers.map(fields.Model(loads), range(8)))
    assert [square for square, _ in answers] == [n * n for n in range(8)]
    loaded_by = sorted(int(mark.name.split("-")[0]) for mark in loads.iterdir())
    assert loaded_by == sorted({process for _, process in answers})
    assert len(loaded_by) == 2
    tasks = [(str(tmp_path), number) for number in range(6)]
    killed = RayCompute("auto", gpus=1).map(fields.count_and_die_once, tasks)
    assert list(killed) == [n * n for n in range(6)]


def test_what_the_engine_logs_on_a_worker_is_logged_here_in_order(cluster, caplog):
    caplog.set_level(logging.INFO, "phenolake")
    assert list(cluster.map(fields.speak, range(3))) == [0, 1, 2]
    said = [(r.levelname, r.getMessage()) for r in caplog.records if "tiling" in r.name]
    assert said == [
        ("INFO", "field 0 is large"),
        ("INFO", "field 1 is large"),
        ("WARNING", "field 1 is dark"),
        ("INFO", "field 2 is large"),
    ]


def test_a_plates_tables_and_run_log_are_those_of_a_local_run(cluster, tmp_path):
    screen = write_screen(tmp_path / "gfp", wells=("A01", "A02"), sites=2)
    lakes = {}
    for place, address in (("here", ""), ("there", "auto")):
        with installation(tmp_path / place, ray_address=address) as home:
            home.add(screen)
            for only in ("raw_image_catalog", "illumination_functions", *MEASURED):
                run = home.run_plate("gfp", "P1", only)
                assert run.success, failure_of(run)
                if only == "single_cell_features":
                    lines = home.lines(run)
        lakes[place] = home.lake
        assert "measuring: 4 of 4" in lines
    for name in MEASURED:
        assert contents(lakes["there"], name).equals(contents(lakes["here"], name)), name
    assert not list((tmp_path / "there" / "work" / "illumination").iterdir())


def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    ray = pytest.importorskip("ray")

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("nobody there")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(ConfigurationError, match=r"no Ray cluster answers at ray://host:1"):
        list(RayCompute("ray://host:1").map(fields.filtered, [1]))


def test_the_setting_chooses_where_fields_are_processed(tmp_path):
    local = resources_for(Settings(home=tmp_path, workers=3))["compute"].open()
    assert local == LocalCompute(3)
    remote = resources_for(Settings(home=tmp_path, ray_address="ray://h:1", ray_gpus=0.5))
    assert remote["compute"].open() == RayCompute("ray://h:1")
    assert remote["compute"].open(network=True) == RayCompute("ray://h:1", gpus=0.5)
