"""The `phenolake` command in this process, as a shell would see it: status, output and errors."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from phenolake.cli import main

Command = Callable[..., "Answer"]


@dataclass(frozen=True)
class Answer:
    """What one call of the command left."""

    status: int
    output: str
    errors: str


def call(*arguments: object, stdin: str = "") -> Answer:
    """Run `phenolake` with these arguments and this text typed in."""
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
        patch.setattr(sys, "argv", ["phenolake", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
    return Answer(status, output.getvalue(), errors.getvalue())


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Path]:
    """A home of its own for each module of tests, as the user's environment names it."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHENOLAKE_HOME", str(folder))
        patch.setenv("PHENOLAKE_WORKERS", "1")
        patch.setenv("PHENOLAKE_SEGMENTATION", "classical")
        patch.setenv("DAGSTER_HOME", str(folder / "dagster"))  # set by the command; put back after
        yield folder


@pytest.fixture(scope="module")
def phenolake(home) -> Command:
    return call
