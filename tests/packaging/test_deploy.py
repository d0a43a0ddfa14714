"""The deployment files are valid and name things that exist."""

from __future__ import annotations

import re
import shutil

import pytest
import yaml


@pytest.fixture(scope="module")
def deploy(repository):
    return repository / "deploy"


@pytest.fixture(scope="module")
def services(deploy) -> dict[str, dict]:
    return yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))["services"]


def test_dagster_accepts_its_configuration(deploy, tmp_path):
    from dagster import DagsterInstance

    shutil.copy(deploy / "dagster.yaml", tmp_path)
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        queue = instance.get_concurrency_config()
        assert queue.run_queue_config.max_concurrent_runs == 2
        assert queue.pool_config.default_pool_limit == 1
        assert instance.run_monitoring_enabled
        assert not instance.telemetry_enabled


def test_services_depend_on_services(services):
    assert {"code", "webserver", "daemon", "mlflow"} == set(services)
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)


def test_ports_are_open_to_this_machine_only(services):
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_workspace_names_the_code_service_and_its_port(deploy, services):
    workspace = yaml.safe_load((deploy / "workspace.yaml").read_text(encoding="utf-8"))
    server = workspace["load_from"][0]["grpc_server"]
    assert f"-p {server['port']} " in services[server["host"]]["command"]


def test_every_service_starts_a_program_of_the_environment(services):
    from importlib.metadata import entry_points

    installed = {script.name for script in entry_points(group="console_scripts")}
    assert {service["command"].split()[0] for service in services.values()} <= installed


def test_image_copies_files_that_exist(repository, deploy):
    dockerfile = (deploy / "Dockerfile").read_text(encoding="utf-8")
    copied = [
        name for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.M) for name in line.split()
    ]
    assert copied
    assert not [name for name in copied if not (repository / name).exists()]


def test_compose_builds_a_stage_of_the_dockerfile(deploy, services):
    stages = re.findall(r"^FROM \S+ AS (\w+)$", (deploy / "Dockerfile").read_text("utf-8"), re.M)
    assert stages[-1] == "cpu"
    assert all(service["build"]["target"].endswith(":-cpu}") for service in services.values())
