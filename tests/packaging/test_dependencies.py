"""What is installed beside Phenolake: versions that are pinned, licences that fit MIT."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# A copyleft licence that would bind those who pass Phenolake on; the lesser one does not.
COPYLEFT = re.compile(r"(?<!lesser )general public|affero|\b(?<!L)A?GPL", re.IGNORECASE)


@pytest.fixture(scope="module")
def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def runtime(project) -> list[Requirement]:
    """Direct dependencies of the default install, and of the extras that are not for tests."""
    extras = project["optional-dependencies"]
    kept = [name for extra, names in extras.items() if extra != "test" for name in names]
    return [Requirement(text) for text in [*project["dependencies"], *kept]]


def lines_of(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]


def pins(file: Path) -> dict[str, str]:
    requirements = [Requirement(line) for line in lines_of(file)]
    return {canonicalize_name(r.name): str(r.specifier) for r in requirements}


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-cpu.txt"])
def test_constraints_are_exact_sorted_and_from_no_place(repository, name):
    lines = lines_of(repository / name)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    assert lines == sorted(lines, key=lambda line: line.split("==")[0].lower())


def test_every_direct_dependency_is_pinned(repository, project):
    pinned = pins(repository / "constraints.txt")
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    wanted = {canonicalize_name(Requirement(r).name) for r in [*project["dependencies"], *extras]}
    assert wanted <= set(pinned)


def test_small_install_differs_only_in_what_cellpose_needs(repository):
    full, small = pins(repository / "constraints.txt"), pins(repository / "constraints-cpu.txt")
    assert set(small) < set(full)
    assert {"cellpose", "torchvision"} <= set(full) - set(small)
    assert {name for name in small if small[name] != full[name]} == {"torch"}


def test_no_runtime_dependency_is_copyleft(runtime):
    licences = {}
    for requirement in runtime:
        try:
            metadata = distribution(requirement.name).metadata
        except PackageNotFoundError:
            continue  # an extra that this environment leaves out
        classifiers = [c for c in metadata.get_all("Classifier", []) if c.startswith("License")]
        # Some packages put the whole text into `License`; its first line is the name.
        stated = (metadata.get("License") or "").strip().split("\n")[0]
        licences[requirement.name] = " | ".join(
            [metadata.get("License-Expression") or "", stated, *classifiers]
        )
    assert len(licences) > 20
    assert not {name: licence for name, licence in licences.items() if COPYLEFT.search(licence)}


@pytest.mark.parametrize(
    ("licence", "copyleft"),
    [
        ("GPL-3.0-or-later", True),
        ("GNU General Public License v3 (GPLv3)", True),
        ("GNU Affero General Public License", True),
        ("AGPL-3.0", True),
        ("LGPL-2.1", False),
        ("GNU Lesser General Public License v3", False),
        ("BSD-3-Clause", False),
    ],
)
def test_copyleft_is_told_from_the_rest(licence, copyleft):
    assert bool(COPYLEFT.search(licence)) is copyleft
