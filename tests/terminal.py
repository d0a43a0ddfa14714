"""The `phenolake` command in the test's process, as a shell would see it: status, output, errors."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from phenolake.cli import main


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


@contextmanager
def user_at(home: Path, workers: int = 1) -> Iterator[Path]:
    """A user whose environment names this home; the test's own environment comes back after."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHENOLAKE_HOME", str(home))
        patch.setenv("PHENOLAKE_WORKERS", str(workers))
        patch.setenv("PHENOLAKE_SEGMENTATION", "classical")
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))  # set by the command itself
        yield home
