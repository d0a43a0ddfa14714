"""A user with an own home for each module of tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from terminal import Answer, call, user_at


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Path]:
    with user_at(tmp_path_factory.mktemp("home")) as home:
        yield home


@pytest.fixture(scope="module")
def phenolake(home) -> Callable[..., Answer]:
    return call
