"""One small lake for all exports."""

from __future__ import annotations

import pytest

from phenolake.lake import Lake
from small_lake import make_lake


@pytest.fixture(scope="package")
def lake(tmp_path_factory) -> Lake:
    return make_lake(tmp_path_factory.mktemp("lake"))
