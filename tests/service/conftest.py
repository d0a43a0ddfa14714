"""The application on a small lake."""

from __future__ import annotations

import pytest

from phenolake.service.app import application
from small_lake import make_lake


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return application(make_lake(tmp_path_factory.mktemp("lake")), "http://dagster.example")
