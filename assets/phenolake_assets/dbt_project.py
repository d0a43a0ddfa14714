"""Where the dbt project is, and its manifest: parsed once per version of the SQL, then cached."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def project_folder() -> Path:
    """The dbt project: inside an installed package, or at the root of a checkout."""
    packaged = _HERE / "_dbt"
    return packaged if packaged.is_dir() else _HERE.parents[1] / "dbt"


def dbt_executable() -> str:
    """The dbt command that belongs to this Python."""
    beside = Path(sys.executable).parent / "dbt"
    return str(beside) if beside.exists() else "dbt"


def manifest_file(cache: Path) -> Path:
    """Path of the project's `manifest.json` under `cache`; runs `dbt parse` when the SQL changed."""
    folder = cache / _fingerprint(project_folder())
    manifest = folder / "manifest.json"
    if not manifest.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [dbt_executable(), "--quiet", "parse", *_places(folder)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=_environment()
        )
        if done.returncode != 0:
            raise RuntimeError(f"dbt parse failed:\n{done.stdout}{done.stderr}")
    return manifest


def sources_of_models(manifest: Path) -> dict[str, set[str]]:
    """Names of the sources below each model, at whatever remove."""
    parents = json.loads(manifest.read_text(encoding="utf-8"))["parent_map"]

    def below(node: str) -> set[str]:
        if node.startswith("source."):
            return {node.rpartition(".")[2]}
        return set().union(*map(below, parents.get(node, ())))

    return {node.rpartition(".")[2]: below(node) for node in parents if node.startswith("model.")}


def _places(target: Path) -> list[str]:
    project = str(project_folder())
    logs = str(target / "logs")
    return [
        "--project-dir", project, "--profiles-dir", project, "--target-path", str(target), "--log-path", logs,
    ]  # fmt: skip


def _environment() -> dict[str, str]:
    return {**os.environ, "DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}


def _fingerprint(project: Path) -> str:
    """Hash of the project's files, and of this Python: dbt's version may differ with it."""
    digest = hashlib.sha256(sys.prefix.encode())
    for path in sorted(project.rglob("*")):
        if path.suffix in (".sql", ".yml") and "target" not in path.parts:
            digest.update(path.relative_to(project).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
