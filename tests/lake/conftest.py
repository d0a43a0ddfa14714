"""Fixtures of the lake's tests."""

from __future__ import annotations

import pytest

from phenolake.lake import Lake


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(str(tmp_path / "lake"))
