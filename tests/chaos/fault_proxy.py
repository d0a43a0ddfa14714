"""A proxy before an object store that answers some requests with a fault."""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_DOWN = (
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
BROKEN = b"<Error><Code>InternalError</Code><Message>Try again.</Message></Error>"
FAULTS = ("500", "503 slow down", "reset", "delay", "lost answer")


class FaultProxy(ThreadingHTTPServer):
    """Forwards to `target`; with `share` of the requests it does `fault` instead."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target.removeprefix("http://")
        self.fault = ""
        self.share = 0.0
        self.rng = random.Random(0)
        self.faults = 0
        self.requests: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def strikes(self, method: str, path: str) -> bool:
        """Whether this request meets the fault; a lost answer strikes commits only."""
        if self.fault == "lost answer" and not (method == "PUT" and "_delta_log/" in path):
            return False
        return bool(self.fault) and self.rng.random() < self.share

    @contextmanager
    def doing(self, fault: str, share: float) -> Iterator[FaultProxy]:
        self.fault, self.share, self.faults = fault, share, 0
        try:
            yield self
        finally:
            self.fault, self.share = "", 0.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultProxy

    def _handle(self) -> None:
        body = self._body()
        self.server.requests[self.command] += 1
        fault = self.server.fault if self.server.strikes(self.command, self.path) else ""
        if fault:
            self.server.faults += 1
        if fault == "500":
            self._answer(500, {}, BROKEN)
        elif fault == "503 slow down":
            self._answer(503, {}, SLOW_DOWN)
        elif fault == "reset":
            self._hang_up()
        else:
            if fault == "delay":
                time.sleep(0.5)
            status, headers, content = self._forward(body)
            if fault == "lost answer":
                self._hang_up()
            else:
                self._answer(status, headers, content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return body

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.server.target, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("transfer-encoding", "content-length"):
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        content = answer.read()
        headers = dict(answer.getheaders())
        connection.close()
        return answer.status, headers, content

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        length = str(len(content))
        for name, value in headers.items():
            if name.lower() in ("content-length", "transfer-encoding", "connection"):
                if name.lower() == "content-length" and self.command == "HEAD":
                    length = value
                continue
            self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _hang_up(self) -> None:
        self.close_connection = True
        # Zero linger makes it a reset, not an orderly end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def fault_proxy(target: str) -> Iterator[FaultProxy]:
    """A running proxy before the store at `target`."""
    proxy = FaultProxy(target)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
