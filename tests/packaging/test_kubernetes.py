"""The Kubernetes manifests fit the schemas of their kinds, and keep to the rules of this project."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

KUSTOMIZATIONS = ("base", "gpu")
#: A custom resource of KubeRay, whose schema is not among those of Kubernetes.
CUSTOM = {"RayCluster"}


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "deploy" / "kubernetes"


@pytest.fixture(scope="module", params=KUSTOMIZATIONS)
def rendered(folder: Path, request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """Documents as `kubectl kustomize` renders them, without talking to any server."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    answer = subprocess.run(
        ["kubectl", "kustomize", str(folder / request.param)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return list(yaml.safe_load_all(answer.stdout))


@pytest.fixture(scope="module")
def plain(folder: Path) -> list[dict[str, Any]]:
    """Documents of the base as they are written."""
    listed = yaml.safe_load((folder / "base" / "kustomization.yaml").read_text())["resources"]
    return [
        document
        for name in listed
        for document in yaml.safe_load_all((folder / "base" / name).read_text())
    ]


def pods(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        document["spec"]["template"]["spec"]
        for document in documents
        if document["kind"] in ("Deployment", "StatefulSet")
    ]


def validate(documents: list[dict[str, Any]]) -> None:
    checker = pytest.importorskip("kubernetes_validate")
    for document in documents:
        if document["kind"] not in CUSTOM:
            checker.validate(document, "1.30", strict=True)


def test_written_manifests_fit_their_schemas(plain):
    validate(plain)


def test_rendered_manifests_fit_their_schemas(rendered):
    validate(rendered)
    assert {document["metadata"].get("namespace", "phenolake") for document in rendered} == {
        "phenolake"
    }


def test_a_wrong_manifest_is_found(plain):
    checker = pytest.importorskip("kubernetes_validate")
    wrong = next(d for d in plain if d["kind"] == "Deployment") | {"replicas": "two"}
    with pytest.raises(checker.ValidationError):
        checker.validate(wrong, "1.30", strict=True)


def test_no_manifest_holds_a_secret(plain):
    assert not [d for d in plain if d["kind"] == "Secret"]
    for pod in pods(plain):
        for container in pod["containers"]:
            for variable in container.get("env", []):
                if any(word in variable["name"] for word in ("PASSWORD", "SECRET", "KEY", "HASH")):
                    assert "secretKeyRef" in variable["valueFrom"], variable["name"]


def test_everything_is_closed_unless_a_policy_opens_it(plain):
    policies = {d["metadata"]["name"]: d["spec"] for d in plain if d["kind"] == "NetworkPolicy"}
    assert policies["nothing-in"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    open_to_all = [
        n for n, spec in policies.items() if any("from" not in i for i in spec.get("ingress", []))
    ]
    assert open_to_all == ["people-to-proxy"]
    assert not [d for d in plain if d["kind"] == "Service" and "type" in d["spec"]]


def test_only_what_starts_runs_has_an_account(plain):
    accounts = {
        d["metadata"]["name"]: d["spec"]["template"]["spec"].get("serviceAccountName")
        for d in plain
        if d["kind"] in ("Deployment", "StatefulSet")
    }
    assert {name for name, account in accounts.items() if account} == {
        "code",
        "webserver",
        "daemon",
    }


def test_volumes_settings_and_ports_exist(plain):
    claims = {d["metadata"]["name"] for d in plain if d["kind"] == "PersistentVolumeClaim"}
    asked = {
        volume["persistentVolumeClaim"]["claimName"]
        for pod in pods(plain)
        for volume in pod["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert asked == claims
    ports = {
        d["metadata"]["labels"]["app"] if "labels" in d["metadata"] else d["metadata"]["name"]: {
            port["containerPort"]
            for container in d["spec"]["template"]["spec"]["containers"]
            for port in container.get("ports", [])
        }
        for d in plain
        if d["kind"] in ("Deployment", "StatefulSet")
    }
    for service in (d for d in plain if d["kind"] == "Service"):
        (port,) = service["spec"]["ports"]
        assert port.get("targetPort", port["port"]) in ports[service["spec"]["selector"]["app"]]


def test_the_run_launcher_accepts_its_configuration(folder):
    launcher = pytest.importorskip("dagster_k8s").K8sRunLauncher
    from dagster import Field
    from dagster._config import validate_config

    instance = yaml.safe_load((folder / "base" / "instance.yaml").read_text())
    config = instance["run_launcher"]["config"]
    checked = validate_config(Field(launcher.config_type()).config_type, config)
    assert checked.success, checked.errors


def test_gpu_workers_stand_on_gpu_nodes(rendered, request):
    if request.node.callspec.params["rendered"] != "gpu":
        pytest.skip("only the GPU kustomization has them")
    (cluster,) = (d for d in rendered if d["kind"] == "RayCluster")
    (group,) = (g for g in cluster["spec"]["workerGroupSpecs"] if g["groupName"] == "gpu")
    pod = group["template"]["spec"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
