"""Requests to a web application in the test's process, without a server or a network."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.content.decode("utf-8")

    def json(self) -> Any:
        return json.loads(self.content)


def request(
    app: Any,
    path: str,
    method: str = "GET",
    body: object = None,
    host: str = "localhost",
    **query: Any,
) -> Reply:
    """Call the application once; the path may hold a query of its own."""
    path, _, given = path.partition("?")
    text = "&".join(part for part in (given, urlencode(query, doseq=True)) if part)
    content = b"" if body is None else json.dumps(body).encode()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": unquote(path), "raw_path": path.encode(), "root_path": "",
        "query_string": text.encode(), "client": ("test", 1), "server": ("localhost", 80),
        "headers": [(b"host", host.encode()), (b"content-type", b"application/json")],
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    asked = iter([True])

    async def receive() -> dict[str, Any]:
        if not next(asked, False):
            await asyncio.sleep(3600)  # the caller stays connected
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start = next(m for m in sent if m["type"] == "http.response.start")
    parts = [m.get("body", b"") for m in sent if m["type"] == "http.response.body"]
    headers = {k.decode().lower(): v.decode() for k, v in start["headers"]}
    return Reply(start["status"], b"".join(parts), headers)
