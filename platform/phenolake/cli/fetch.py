"""`phenolake fetch`: complete plates of an object-store inbox, one line each."""

from __future__ import annotations

import typer

from phenolake.errors import ConfigurationError
from phenolake.screens.store_inbox import fetch_plates
from phenolake.settings import Settings


def fetch_inbox(uri: str | None) -> int:
    """Copy what is new or changed to the local inbox; returns 0.

    Raises
    ------
    ConfigurationError
        If no store is named, or it can't be read.
    """
    settings = Settings() if uri is None else Settings(inbox=uri)
    if not settings.inbox_uri:
        raise ConfigurationError(
            f"the inbox is the folder {settings.inbox_path}: nothing to fetch. Name an object "
            "store, such as s3://bucket/inbox, or set PHENOLAKE_INBOX to one"
        )
    typer.echo(f"{settings.inbox_uri} to {settings.inbox_path}")
    plates = fetch_plates(settings.inbox_uri, settings.inbox_path, settings.quiet_time_s)
    count = 0
    for key, outcome in plates:
        typer.echo(f"  plate {key.plate} of {key.screen}: {outcome}")
        count += 1
    if not count:
        typer.echo("  no plate; expected <inbox>/<screen>/<plate>/<images>")
    return 0
