"""Python client of the service: tables as polars frames, pictures as bytes."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import polars as pl

from phenolake.errors import PhenolakeError
from phenolake.service.api import MOST_ROWS


class ServiceError(PhenolakeError):
    """The service refused a request; the text is its own."""


class Client:
    """Reads a lake through `phenolake explore` on this or another machine.

    Parameters
    ----------
    address
        For example `http://127.0.0.1:8000`.

    Examples
    --------
    >>> client = Client("http://127.0.0.1:8000")  # doctest: +SKIP
    >>> client.sql("select * from marts.hits where is_hit")  # doctest: +SKIP
    """

    def __init__(self, address: str, timeout_s: float = 60) -> None:
        self._address = address.rstrip("/")
        self._timeout_s = timeout_s

    def screens(self) -> list[str]:
        """Names of the screens."""
        return list(self._json("screens")["screens"])

    def plates(self, screen: str) -> list[str]:
        """Names of a screen's plates."""
        return list(self._json("screens", screen, "plates")["plates"])

    def wells(self, screen: str, plate: str) -> pl.DataFrame:
        """Wells of a plate: treatment and raw profile."""
        return self._frame("screens", screen, "plates", plate, "wells")

    def cells(self, screen: str, plate: str, well: str | None = None) -> pl.DataFrame:
        """Cells of a plate or one of its wells, with features; fetched page by page."""
        return self._frame("screens", screen, "plates", plate, "cells", well=well)

    def profiles(self, screen: str, table: str = "well_profiles") -> pl.DataFrame:
        """Profiles of a screen from one of the profile tables."""
        return self._frame("screens", screen, "profiles", table=table)

    def predictions(self, screen: str) -> pl.DataFrame:
        """What the models say of each cell."""
        return self._frame("screens", screen, "predictions")

    def mart(self, name: str, screen: str | None = None) -> pl.DataFrame:
        """Rows of a mart, of one screen if it is given."""
        return self._frame("marts", name, screen=screen)

    def sql(self, query: str, limit: int = MOST_ROWS) -> pl.DataFrame:
        """Answer of one reading SQL statement."""
        body = json.dumps({"query": query, "limit": limit}).encode()
        content, _ = self._fetch(("sql",), {"format": "arrow"}, body)
        return _frame(content)

    def image(self, screen: str, plate: str, well: str, site: int, **view: Any) -> bytes:
        """PNG of a site; `channels`, `outlines`, `gain`, `colour_by` and `edge` as in the service."""
        parts = ("screens", screen, "plates", plate, "wells", well, "sites", str(site), "image.png")
        return self._fetch(parts, view)[0]

    def _frame(self, *parts: str, **query: Any) -> pl.DataFrame:
        pages: list[pl.DataFrame] = []
        while True:
            have = sum(page.height for page in pages)
            asked = {**query, "format": "arrow", "limit": MOST_ROWS, "offset": have}
            content, total = self._fetch(parts, asked)
            pages.append(_frame(content))
            if not pages[-1].height or have + pages[-1].height >= total:
                return pl.concat(pages)

    def _json(self, *parts: str) -> dict[str, Any]:
        return dict(json.loads(self._fetch(parts, {})[0]))

    def _fetch(
        self, parts: tuple[str, ...], query: dict[str, Any], body: bytes | None = None
    ) -> tuple[bytes, int]:
        path = "/".join(quote(part, safe="") for part in parts)
        given = {name: value for name, value in query.items() if value is not None}
        address = f"{self._address}/api/{path}?{urlencode(given, doseq=True)}"
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            with urlopen(Request(address, body, headers), timeout=self._timeout_s) as reply:
                return reply.read(), int(reply.headers.get("X-Total-Rows", 0))
        except HTTPError as error:
            raise ServiceError(_detail(error)) from error


def _frame(content: bytes) -> pl.DataFrame:
    return pl.read_ipc_stream(content)


def _detail(error: HTTPError) -> str:
    try:
        return str(json.loads(error.read())["detail"])
    except (ValueError, KeyError):
        return f"{error.code} {error.reason}"
