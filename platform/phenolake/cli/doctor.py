"""`phenolake doctor`: versions, accelerator, storage and free space, each with its remedy."""

from __future__ import annotations

import os
import platform as machine
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import typer

from phenolake.errors import PhenolakeError
from phenolake.settings import Settings

_PACKAGES = ("dagster", "deltalake", "duckdb", "polars", "pyarrow", "torch", "cellpose", "mlflow")


@dataclass(frozen=True)
class Finding:
    """One line of the report; `remedy` says how to mend what is not well."""

    name: str
    state: str
    well: bool = True
    remedy: str = ""


def examine() -> int:
    """Print the report; returns 1 when something needs mending."""
    findings = [finding for check in _CHECKS for finding in check(Settings())]
    for finding in findings:
        typer.secho(
            f"{'ok ' if finding.well else 'no '} {finding.name:<12} {finding.state}",
            fg=None if finding.well else "yellow",
        )
        if finding.remedy:
            typer.echo(f"{'':<16} {finding.remedy}")
    return int(not all(finding.well for finding in findings))


def compile_kernels() -> None:
    """Compile the numeric kernels and cache them beside the package; seconds when they are cached."""
    import time

    import numpy as np

    from phenolake import features, segmentation, simulation
    from phenolake.segmentation.flow_decoder import compile_decoder

    started = time.monotonic()
    features.compile_kernels()
    plan = simulation.SimulationPlan(size=128, wells_used=16)
    site = simulation.simulate_site(plan, plan.plate_names[0], "B02", 1)
    roles = {"DNA": 0, "RNA": 2}
    segmentation.segment(site.image.astype(np.float32) / 65535, roles, method="classical")
    compile_decoder()
    typer.echo(f"kernels are compiled ({time.monotonic() - started:.0f} s)")


def _packages(_: Settings) -> Iterator[Finding]:
    yield Finding("python", f"{machine.python_version()} on {machine.system()} {machine.machine()}")
    for package in _PACKAGES:
        try:
            yield Finding(package, version(package))
        except PackageNotFoundError:
            optional = package == "cellpose"
            remedy = "pip install 'phenolake[cellpose]'" if optional else "pip install phenolake"
            yield Finding(package, "not installed", optional, f"To use it: {remedy}")


def _accelerator(_: Settings) -> Iterator[Finding]:
    try:
        import torch
    except ImportError:
        return
    if torch.cuda.is_available():
        yield Finding("GPU", torch.cuda.get_device_name(0))
    elif torch.backends.mps.is_available():
        yield Finding("GPU", "Apple silicon")
    else:
        yield Finding("GPU", f"none; {os.cpu_count()} CPU cores are used")


def _weights(_: Settings) -> Iterator[Finding]:
    from phenolake.segmentation.cellpose_sources import licence_of, weights_folder

    folder = weights_folder()
    found = sorted(p.name for p in folder.glob("*") if p.is_file()) if folder.is_dir() else []
    if not found:
        yield Finding(
            "weights",
            f"no Cellpose weights in {folder}; segmentation uses what comes with the package",
            True,
            "Copy weights there, set PHENOLAKE_WEIGHTS, or name a file: cellpose:<path>.",
        )
    for name in found:
        yield Finding("weights", f"{name} in {folder}; licence: {licence_of(name)}")


def _storage(settings: Settings) -> Iterator[Finding]:
    from phenolake.lake import Lake

    try:
        Lake(settings.tables_uri).validate()
        yield Finding("lake", f"{settings.tables_uri} can be written")
    except PhenolakeError as error:
        yield Finding("lake", str(error), False, "Set PHENOLAKE_HOME to a folder you can write to.")
        return
    place = settings.home_path
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    yield Finding(
        "free space",
        f"{free:.1f} GB",
        free >= 10,
        "" if free >= 10 else "Free some space: a plate needs 1 to 10 GB.",
    )


_CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _packages,
    _accelerator,
    _weights,
    _storage,
)
