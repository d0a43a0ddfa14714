"""The deployment files are valid and name things that exist."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
import yaml
from dagster._cli import create_dagster_cli
from dagster._daemon.cli import cli as daemon_cli
from dagster_webserver.cli import dagster_webserver as webserver_cli


@pytest.fixture(scope="module")
def deploy(repository):
    return repository / "deploy"


@pytest.fixture(scope="module")
def compose(deploy) -> dict[str, Any]:
    return yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def services(compose) -> dict[str, dict]:
    return compose["services"]


@pytest.fixture(scope="module")
def compose_problems() -> Callable[[dict[str, Any]], list[str]]:
    """Where a document breaks the schema of the Compose specification."""
    schemas = pytest.importorskip("check_jsonschema.builtin_schemas")
    schema = schemas.get_builtin_schema("vendor.compose-spec")
    validator = jsonschema.validators.validator_for(schema)(schema)
    return lambda document: [error.message for error in validator.iter_errors(document)]


def test_the_compose_file_fits_the_schema_of_the_specification(compose, compose_problems):
    assert compose_problems(compose) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"services": {"code": {"imagee": "phenolake"}}},
        {"services": {"code": {"image": "phenolake", "depends_on": {"store": {}}}}},
        {"services": {"code": {"image": "phenolake", "ports": 8080}}},
        {"volume": {}},
    ],
    ids=["field", "condition", "ports", "section"],
)
def test_a_wrong_compose_file_is_found(wrong, compose_problems):
    assert compose_problems(wrong)


def test_dagster_accepts_its_configuration(deploy, tmp_path):
    from dagster import DagsterInstance

    shutil.copy(deploy / "dagster.yaml", tmp_path)
    configuration = yaml.safe_load((tmp_path / "dagster.yaml").read_text(encoding="utf-8"))
    assert "postgres" in configuration.pop("storage")
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        queue = instance.get_concurrency_config()
        assert queue.run_queue_config.max_concurrent_runs == 2
        assert queue.pool_config.default_pool_limit == 1
        assert instance.run_monitoring_enabled
        assert not instance.telemetry_enabled


def test_postgres_storage_is_configured_as_dagster_expects(deploy):
    storage = pytest.importorskip("dagster_postgres.storage").DagsterPostgresStorage
    from dagster import Field
    from dagster._config import validate_config

    for file in ("dagster.yaml", "kubernetes/base/instance.yaml"):
        held = yaml.safe_load((deploy / file).read_text(encoding="utf-8"))["storage"]["postgres"]
        checked = validate_config(Field(storage.config_type()).config_type, held)
        assert checked.success, checked.errors
        assert set(held["postgres_db"]["password"]) == {"env"}


def test_services_depend_on_services(services):
    wanted = {"code", "webserver", "daemon", "metrics", "mlflow", "postgres", "store", "proxy"}
    assert wanted <= set(services)
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)


def test_only_the_proxy_has_a_port_and_it_is_open_to_this_machine_only(services):
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert services["proxy"]["ports"] == ["${LISTEN:-127.0.0.1:8080}:8080"]


def test_the_proxy_asks_for_a_login_before_anything(deploy):
    for file in ("proxy/Caddyfile", "kubernetes/base/Caddyfile"):
        lines = (deploy / file).read_text(encoding="utf-8").splitlines()
        inside = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        assert inside[0] == "{$SITE} {"
        assert inside[1] == "basic_auth {"
        assert inside[2] == "{$LOGIN_USER} {$LOGIN_HASH}"


def test_the_explorer_is_reached_by_the_same_paths_on_both_proxies(deploy):
    texts = [
        (deploy / name).read_text("utf-8")
        for name in ("proxy/Caddyfile", "kubernetes/base/Caddyfile")
    ]
    routes = [re.findall(r"@explorer path (.+)", text) for text in texts]
    assert routes[0] == routes[1] != []


def test_secrets_come_from_outside(deploy, services):
    text = (deploy / "compose.yaml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    assert {"POSTGRES_PASSWORD", "STORE_SECRET", "LOGIN_HASH"} <= asked
    example = (deploy / "example.env").read_text(encoding="utf-8")
    given = dict(re.findall(r"^(\w+)=(.*)$", example, re.M))
    assert asked <= set(given)
    assert not any(given[name] for name in asked - {"STORE_KEY_ID"})
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|HASH", name):
                assert value.startswith("${"), name


def test_workspace_names_the_code_service_and_its_port(deploy, services):
    workspace = yaml.safe_load((deploy / "workspace.yaml").read_text(encoding="utf-8"))
    server = workspace["load_from"][0]["grpc_server"]
    assert f"-p {server['port']} " in services[server["host"]]["command"]


def test_every_service_starts_a_program_of_the_environment(services):
    from importlib.metadata import entry_points

    installed = {script.name for script in entry_points(group="console_scripts")}
    ours = [service for service in services.values() if service["image"] == "phenolake"]
    assert {service["command"].split()[0] for service in ours} <= installed


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
    built = [service["build"]["target"] for service in services.values() if "build" in service]
    assert built
    assert all(target.endswith(":-cpu}") for target in built)


def test_the_servers_of_dagster_write_their_logs_as_json(services, repository):
    """And each knows the option, which its own command line says."""
    manifest = (repository / "deploy" / "kubernetes" / "base" / "dagster.yaml").read_text()
    commands = {
        "code": create_dagster_cli().commands["code-server"].commands["start"],
        "webserver": webserver_cli,
        "daemon": daemon_cli.commands["run"],
    }
    for name, command in commands.items():
        (option,) = (o for o in command.params if "--log-format" in o.opts)
        assert "json" in option.type.choices
        assert services[name]["command"].endswith("--log-format json")
    assert manifest.count("--log-format, json]") == len(commands)
