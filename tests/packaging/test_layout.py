"""How the repository is laid out: what would shadow a module, and what would grow into a drawer."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

SOURCE_ROOTS = ("platform", "assets", "resources")
MOST_LINES = 400
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc"}

# Patterns rather than literals, so that this file passes its own test.
MACHINE_PATH = re.compile(r"(?<![\w.$}~/-])/(?:home|Users|work|root|tmp/\w+/v)/\w")
PACKAGE_HOST = re.compile(
    r"py[p]i\.org|python[h]osted|download\.py[t]orch|anaconda\.[o]rg|file:///\S+\.(?:whl|tar)"
)


@pytest.fixture(scope="module")
def tracked(repository: Path) -> list[Path]:
    """Text files under version control, or all of the checkout when it is no clone."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = [repository / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file() and b"\0" not in file.read_bytes()[:8000]]


@pytest.fixture(scope="module")
def modules(tracked: list[Path], repository: Path) -> list[Path]:
    return [file for file in tracked if file.suffix == ".py"]


@pytest.mark.parametrize("folder", [*SOURCE_ROOTS, "dbt", "tests/platform"])
def test_folder_named_like_a_module_is_not_a_package(repository, folder):
    assert not (repository / folder / "__init__.py").exists()


def test_each_package_says_that_it_is_typed(repository):
    for root in SOURCE_ROOTS:
        (package,) = (
            path for path in (repository / root).iterdir() if path.name.startswith("phenolake")
        )
        assert (package / "py.typed").exists(), package


def test_no_module_is_longer_than_one_idea(modules, repository):
    long = {
        str(file.relative_to(repository)): lines
        for file in modules
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert not long


def test_no_module_is_a_drawer(modules, repository):
    named = [file.relative_to(repository) for file in modules]
    assert not [str(file) for file in named if DRAWERS & {*file.parent.parts, file.stem}]


def test_every_module_says_what_it_is_for(modules, repository):
    silent = [
        str(file.relative_to(repository))
        for file in modules
        if file.relative_to(repository).parts[0] != "tests"
        and ast.get_docstring(ast.parse(file.read_bytes())) is None
    ]
    assert not silent


@pytest.mark.parametrize(
    ("pattern", "kind"), [(MACHINE_PATH, "path of one machine"), (PACKAGE_HOST, "package host")]
)
def test_nothing_names_a_machine_or_a_package_host(tracked, repository, pattern, kind):
    found = [
        f"{file.relative_to(repository)}:{number}: {line.strip()[:80]}"
        for file in tracked
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found, f"{kind} in {found}"
