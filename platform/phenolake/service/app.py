"""The web application: the explorer's pages and the service under /api, on one lake."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from phenolake import __version__
from phenolake.errors import NotFoundError, PhenolakeError
from phenolake.lake import Lake
from phenolake.service.api import api_of
from phenolake.service.reading import LakeReader
from phenolake.settings import Settings

if TYPE_CHECKING:
    from phenolake.explorer.saliency import Loader

#: No script, no frame, no other host: pages show data that others wrote.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self' "
    "'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def application(
    lake: Lake,
    dagster_url: str = "",
    allowed_hosts: Sequence[str] = ("*",),
    load_model: Loader | None = None,
) -> FastAPI:
    """Pages and service of a lake; it only ever reads.

    Parameters
    ----------
    lake
        The lake to show.
    dagster_url
        Address of the Dagster UI, for links from pages to runs and assets; empty: no links.
    allowed_hosts
        Names by which browsers may call this server: without them a page elsewhere could have a
        name of its own lead here.
    load_model
        Returns a registered model, for pages of where it looks; by default from the registry of
        this installation.
    """
    from phenolake.explorer.pages import pages_of
    from phenolake.explorer.saliency import Saliency, registry_loader

    app = FastAPI(
        title="Phenolake",
        version=__version__,
        description="Read-only access to the lake: tables as Arrow or JSON, images as PNG, SQL.",
        # FastAPI's own pages would load scripts from another host.
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts))
    reader = LakeReader(lake)
    app.include_router(api_of(reader))
    saliency = Saliency(reader, load_model or registry_loader(Settings().mlflow_tracking_uri))
    app.include_router(pages_of(reader, saliency, dagster_url), include_in_schema=False)
    app.add_exception_handler(PhenolakeError, _problem)

    @app.middleware("http")
    async def careful(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if request.method not in ("GET", "HEAD", "POST", "OPTIONS"):
            return JSONResponse({"detail": "read-only"}, 405, headers={"Allow": "GET, HEAD"})
        response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    return app


async def _problem(request: Request, error: Exception) -> Response:
    """Our errors are facts about the question: 404 for what is not there, else 400."""
    status = 404 if isinstance(error, NotFoundError) else 400
    if request.url.path.startswith("/api"):
        return JSONResponse({"detail": str(error)}, status)
    from phenolake.explorer.pages import problem_page

    return problem_page(str(error), status)
