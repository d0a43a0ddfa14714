"""Requests drawn from the service's own description: none is answered by a fault of the server."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings

schemathesis = pytest.importorskip("schemathesis")
EXAMPLES = 4


def test_no_request_that_the_description_allows_is_a_server_error(app):
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 12
    asked: set[str] = set()
    for operation in operations:

        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def ask(case):
            # SQL starts a process, which takes long on a busy machine; time is no matter here.
            response = case.call(timeout=300)
            asked.add(case.path)
            assert response.status_code < 500, f"{case.method} {case.formatted_path}"

        ask()
    assert len(asked) == len({operation.path for operation in operations})
