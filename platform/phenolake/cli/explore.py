"""`phenolake explore`: the read-only pages and the service on this installation's lake."""

from __future__ import annotations

import typer

from phenolake.cli.ports import refuse_taken
from phenolake.lake import Lake
from phenolake.settings import Settings

_LOCAL = ("127.0.0.1", "localhost", "[::1]")


def serve_pages(host: str, port: int, dagster_url: str, names: list[str]) -> int:
    """Serve until interrupted; returns the exit status."""
    import uvicorn

    from phenolake.service.app import application

    refuse_taken(host, port=port)
    lake = Lake(Settings().tables_uri)
    # Whoever listens on all addresses says by which names it is called, or takes any.
    local = host in ("127.0.0.1", "localhost", "::1")
    allowed = [*_LOCAL, host, *names] if local or names else ["*"]
    typer.echo(f"Look at http://{host}:{port} ; Ctrl-C ends it. The lake is only read.")
    uvicorn.run(application(lake, dagster_url, allowed), host=host, port=port, log_level="warning")
    return 0
