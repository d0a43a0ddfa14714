"""A few turns of every fault; `benchmarks/chaos.py` has the full counts and prints the table."""

from __future__ import annotations

import pytest

from chaos import scenarios
from chaos.fault_proxy import FAULTS, fault_proxy
from chaos.moto_store import BUCKET, ENVIRONMENT, moto_store
from phenolake.lake import Lake

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_kills_at_random_moments(tmp_path):
    assert scenarios.killed(tmp_path, 2).harmless


def test_several_processes_write_plates_of_their_own(tmp_path):
    assert scenarios.many_writers(tmp_path, 2, 2).harmless


def test_one_plate_from_two_runs_at_once(tmp_path):
    assert scenarios.same_plate(tmp_path, 1).harmless


@pytest.mark.parametrize("scenario", [scenarios.full_disk, scenarios.read_only_disk])
def test_a_disk_that_refuses_to_be_written(tmp_path, scenario):
    if not scenarios.can_mount():
        pytest.skip("only root can mount a small file system")
    assert scenario(tmp_path, 2).harmless


def test_clocks_an_hour_off(tmp_path):
    assert scenarios.clock_an_hour_off(tmp_path, 2).harmless


@pytest.fixture(scope="module")
def store():
    pytest.importorskip("boto3")
    pytest.importorskip("moto.server")
    with moto_store() as url, fault_proxy(url) as proxy:
        yield proxy


@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_that_answers_with_faults(store, monkeypatch, fault):
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": store.url}.items():
        monkeypatch.setenv(name, value)
    lake = Lake(f"s3://{BUCKET}/{fault.replace(' ', '-')}")
    share = 0.5 if fault == "lost answer" else 0.05
    outcome = scenarios.faulty_store(lake, store, fault, share, 1)
    assert outcome.harmless
    assert outcome.times > 0


def test_a_lost_answer_is_no_second_version(store, monkeypatch):
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": store.url}.items():
        monkeypatch.setenv(name, value)
    lake = Lake(f"s3://{BUCKET}/every-answer-lost")
    table = scenarios.TABLES[-1]
    for generation in range(2):
        with store.doing("lost answer", 1.0 if generation else 0.0):
            commit = lake.write(
                table,
                scenarios.rows_of(table, "P1", generation),
                scenarios.where("P1"),
                run_id=str(generation),
            )
        assert commit.version == generation
    assert [entry["phenolake_run_id"] for entry in lake.history(table.name)] == ["1", "0"]
